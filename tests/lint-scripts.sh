#!/usr/bin/env bash
# Checks the shell and Python scripts with shellcheck and ruff, and that YAML and JSON files are what they look like.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(dirname "$(envoy/python.sh lint tests/lint-requirements.txt)")

git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run | xargs -0 "$bin/shellcheck"
"$bin/ruff" check --quiet .
git ls-files -z --cached --others --exclude-standard -- '*.yaml' '*.yml' '*.json' ':!demo/envoy.yaml' |
    xargs -0 "$bin/yamllint" --strict --config-data '{rules: {key-duplicates: {}, trailing-spaces: {}}}'
"$bin/ruff" format --quiet --check .
