#!/usr/bin/env bash
# The attacks, one table. Started by `make attack`; `tests/attack/run.sh --quick` for a part of it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
python=$("$here/../../envoy/python.sh" attack "$here/requirements.txt")
exec "$python" -B "$here/attack.py" "$@"
