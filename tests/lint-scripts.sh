#!/usr/bin/env bash
# Checks the shell and Python scripts with shellcheck and ruff, that YAML and JSON files are what they look like, and that the
# workflows are what GitHub accepts, with every action pinned by its commit.
set -euo pipefail
cd "$(dirname "$0")/.."

bin=$(dirname "$(envoy/python.sh lint tests/lint-requirements.txt)")

git ls-files -z --cached --others --exclude-standard -- '*.sh' .ci/run | xargs -0 "$bin/shellcheck"
"$bin/ruff" check --quiet .
git ls-files -z --cached --others --exclude-standard -- '*.yaml' '*.yml' '*.json' ':!demo/envoy.yaml' |
    xargs -0 "$bin/yamllint" --strict --config-data '{rules: {key-duplicates: {}, trailing-spaces: {}}}'
"$bin/ruff" format --quiet --check .

schema() { "$bin/check-jsonschema" --quiet --builtin-schema "vendor.$1" "${@:2}"; }
schema github-workflows .github/workflows/*.yml
schema github-issue-forms .github/ISSUE_TEMPLATE/{bug_report,feature_request}.yml
schema github-issue-config .github/ISSUE_TEMPLATE/config.yml
schema dependabot .github/dependabot.yml
if grep -Hn 'uses:' .github/workflows/*.yml | grep -vE '@[0-9a-f]{40} # v[0-9.]+$'; then
    echo "an action is not pinned by its commit, with its version beside it" >&2
    exit 1
fi
