#!/usr/bin/env bash
# Asks a server in every way that an unmodified SDK has and prints what it made of the answers, as JSON.
#   tests/sdk/degraded.sh openai|anthropic <base url>
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
python=$("$here/../../envoy/python.sh" sdk "$here/requirements.txt")
exec "$python" "$here/degraded.py" "$@"
