#!/usr/bin/env bash
# Looks for inputs that break what holds of the parsers of hostile input: run.sh [seconds for each target] [targets].
# What is found is left in fuzz/artifacts/. The fault mended, the input belongs in tests/invariants/kept/.
set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-3600}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(basename -s .rs fuzz_targets/*.rs)

if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "libFuzzer needs a nightly compiler: rustup toolchain install nightly" >&2
    exit 2
fi
PATH="$PWD/tool/bin:$PATH"
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked --root tool --version 0.13.2 cargo-fuzz

dictionary() {
    case $1 in
    json_lexer | inference_scanner) echo json ;;
    answer_watch) echo answer ;;
    http1_head) echo http ;;
    http2_head) echo http2 ;;
    denied_text) echo text ;;
    header_values) echo headers ;;
    esac
}

python3 seeds.py
cargo +nightly fuzz build --fuzz-dir .
found=0
for target in "${targets[@]}"; do
    echo "== $target, $seconds s"
    nice -n 19 cargo +nightly fuzz run --fuzz-dir . "$target" -- "-dict=dictionaries/$(dictionary "$target").dict" \
        "-max_total_time=$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 || found=1
done
exit "$found"
