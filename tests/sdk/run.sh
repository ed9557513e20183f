#!/usr/bin/env bash
# Calls a server three times with an unmodified SDK and prints what came of it, as JSON.
#   tests/sdk/run.sh openai|anthropic <base url>
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
python=$("$here/../../envoy/python.sh" sdk "$here/requirements.txt")
exec "$python" "$here/call.py" "$@"
