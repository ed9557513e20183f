#!/usr/bin/env bash
# Tests what envoy/ ships: configurations, manifests, images, compose file, rules and dashboard.
#   tests/deploy/run.sh [option of pytest, file or file::test]...
#   tests/deploy/run.sh picture      draws the dashboard's panels instead
# Leaves target/test-results/deploy.xml (JUnit). With CI=true a skipped test fails, unless SKIP=docker allows it.
set -euo pipefail
cd "$(dirname "$0")/../.."

python=$(envoy/python.sh lab tests/lab/requirements.txt)
export PYTHONDONTWRITEBYTECODE=1
if [ "${1:-}" = picture ]; then exec "$python" -m tests.deploy.picture; fi

arguments=()
for argument in "$@"; do
    [ ! -e "tests/deploy/${argument%%::*}" ] || argument=tests/deploy/$argument
    arguments+=("$argument")
done
[[ " ${arguments[*]} " == *" tests/deploy/"* ]] || arguments+=(tests/deploy)
exec "$python" -m pytest --verbose -p no:cacheprovider --rootdir . --junitxml target/test-results/deploy.xml \
    --override-ini junit_suite_name=deploy "${arguments[@]}"
