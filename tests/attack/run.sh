#!/usr/bin/env bash
# The attacks, one table. Started by `make attack`; `tests/attack/run.sh --quick` for a part of it.
#   tests/attack/run.sh heads      how long each way of holding a request head back lasts
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
python=$("$here/../../envoy/python.sh" attack "$here/requirements.txt")
if [ "${1:-}" = heads ]; then exec "$python" -B "$here/heads.py"; fi
exec "$python" -B "$here/attack.py" "$@"
