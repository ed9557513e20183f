#!/usr/bin/env bash
# Checks the shell and Python scripts with shellcheck and ruff.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(dirname "$(envoy/python.sh lint tests/lint-requirements.txt)")

git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run | xargs -0 "$bin/shellcheck"
"$bin/ruff" check --quiet .
"$bin/ruff" format --quiet --check .
