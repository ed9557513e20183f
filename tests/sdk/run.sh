#!/usr/bin/env bash
# Calls a server three times with an unmodified SDK and prints what came of it, as JSON.
#   tests/sdk/run.sh openai|anthropic <base url>
# The SDKs are installed into a virtual environment inside the checkout, once.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
venv=$here/../../.venv/sdk
python=$venv/bin/python

(
    flock 9
    if ! cmp -s "$here/requirements.txt" "$venv/installed.txt"; then
        echo "run.sh: installing the SDKs into .venv/sdk" >&2
        python3 -m venv "$venv"
        "$python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
        cp "$here/requirements.txt" "$venv/installed.txt"
    fi
) 9>"$here/../../.venv/sdk.lock"

exec "$python" "$here/call.py" "$@"
