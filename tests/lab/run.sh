#!/usr/bin/env bash
# Runs a scenario of the lab, with the Python packages that it needs, which are installed into .venv/.
#   tests/lab/run.sh attack|bench|bench.growth|blame|outage|real|storm [option]...
set -euo pipefail
cd "$(dirname "$0")/../.."

python=$(envoy/python.sh lab tests/lab/requirements.txt)
exec "$python" -B -m "tests.$1" "${@:2}"
