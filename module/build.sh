#!/usr/bin/env bash
# Builds dist/<root_id>.wasm; without arguments, every filter. The other names build modules for measurements and
# tests: `empty`, the benchmark's baseline (dist/bench/empty.wasm), `scan`, which times the scan of a body
# (dist/bench/scan.wasm), and `store-contract` and `task-contract`, which check Envoy's store, calls and workers
# (dist/tests/).
#   module/build.sh [root_id | empty | scan | store-contract | task-contract]...
# Rust's wasm32 target comes from the first of: the active toolchain, rustup, Debian's rustc-web. Debian's has no
# prebuilt standard library for wasm32, so -Zbuild-std builds one, which a stable compiler allows only with
# RUSTC_BOOTSTRAP. The flags differ between the three only in that and in the linker.
# A filter keeps its function names (strip=none) until tidegate-trim has used them. No path of the build machine
# ends up in a product, so the same sources and toolchain give the same bytes on every machine.
set -euo pipefail

readonly TARGET=wasm32-unknown-unknown
checkout=$(cd "$(dirname "$0")/.." && pwd -P)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
readonly checkout cargo_home
cd "$checkout"

way=
rustc=rustc
wasm_env=()
wasm_flags=()

say() { echo "build.sh: $*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null; }

target_is_installed() {
    local libraries
    libraries=$(rustc --print target-libdir --target "$TARGET" 2>/dev/null) || return 1
    compgen -G "$libraries/libstd-*.rlib" >/dev/null
}

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

apt_install() {
    say "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
        >/dev/null || die "apt-get could not install $*"
}

is_installed() { [ "$(dpkg-query -W -f '${Status}' "$1" 2>/dev/null)" = "install ok installed" ]; }

debian_offers_rust() {
    has apt-get || return 1
    apt-cache show rustc-web rust-web-src >/dev/null 2>&1 && return
    as_root apt-get update -qq >/dev/null 2>&1
    apt-cache show rustc-web rust-web-src >/dev/null 2>&1
}

find_linker() {
    local name
    compgen -G "$(rustc --print sysroot)/lib/rustlib/*/bin/rust-lld" && return
    for name in rust-lld lld wasm-ld; do
        command -v "$name" && return
    done
    return 1
}

use_debian() {
    local missing=() package linker
    for package in rustc-web rust-web-src; do
        is_installed "$package" || missing+=("$package")
    done
    has cargo || missing+=(cargo-web)
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
    rustc=/usr/bin/rustc
    if ! linker=$(find_linker); then
        apt_install lld
        linker=$(find_linker) || die "no linker for wasm after installing lld"
    fi
    linker=${linker%%$'\n'*}
    wasm_env=(RUSTC="$rustc" RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER="$linker")
    wasm_flags=("-Zbuild-std=std,panic_abort")
    way="Debian's $("$rustc" --version | cut -d' ' -f1-2), standard library built from source, linked by ${linker##*/}"
}

choose_toolchain() {
    if has cargo && target_is_installed; then
        way="the active toolchain, $(rustc --version | cut -d' ' -f1-2)"
    elif has rustup && timeout 120 rustup target add "$TARGET" >/dev/null 2>&1 && target_is_installed; then
        way="rustup's $TARGET, $(rustc --version | cut -d' ' -f1-2)"
    elif debian_offers_rust; then
        use_debian
    else
        die "no Rust for $TARGET: install rustup (https://rustup.rs) and run 'rustup target add $TARGET'"
    fi
    say "toolchain: $way"
}

# build_wasm <package> <rustc's strip option> [cargo arguments]...
build_wasm() {
    local package=$1 strip=$2 registry flags
    shift 2
    cargo fetch --quiet --target "$TARGET"
    flags=(
        "--remap-path-prefix=$checkout=/tidegate"
        "--remap-path-prefix=$("$rustc" --print sysroot)/lib/rustlib/src/rust=/rust"
    )
    for registry in "$cargo_home"/registry/src/*/; do
        flags+=("--remap-path-prefix=${registry%/}=/crates")
    done
    env "${wasm_env[@]}" CARGO_ENCODED_RUSTFLAGS="$(IFS=$'\x1f'; echo "${flags[*]}")" \
        cargo rustc --quiet --release --package "$package" --target "$TARGET" --target-dir target/wasm \
        "${wasm_flags[@]}" "$@" -- -C "strip=$strip"
}

built() { echo "target/wasm/$TARGET/release/$1.wasm"; }

refuse_machine_paths() {
    local path
    for path in "$checkout" "$cargo_home" "$("$rustc" --print sysroot)/lib/rustlib"; do
        ! grep -aqF "$path" "$1" || die "$1 holds the path $path"
    done
}

# publish <file> <product>
publish() {
    refuse_machine_paths "$1"
    mkdir -p "$(dirname "$2")"
    install -m 644 "$1" "$2.new"
    mv "$2.new" "$2"
    say "$2: $(wc -c <"$2") bytes"
}

build_filter() {
    local trimmed=target/wasm/$1.wasm
    build_wasm tidegate-module none --no-default-features --features "$1"
    cargo run --quiet --package tidegate-trim -- \
        "$(built tidegate_module)" "filters/$1/surface.txt" "$trimmed"
    publish "$trimmed" "dist/$1.wasm"
}

build_contract() {
    build_wasm tidegate-module symbols --no-default-features --features "$1"
    publish "$(built tidegate_module)" "dist/tests/$1.wasm"
}

build_empty() {
    build_wasm tidegate-bench-empty symbols
    publish "$(built tidegate_bench_empty)" dist/bench/empty.wasm
}

# serde_json, which modules use only once, is optimised for speed here.
build_scan() {
    build_wasm tidegate-bench-scan symbols --config 'profile.release.package.serde_json.opt-level=3'
    publish "$(built tidegate_bench_scan)" dist/bench/scan.wasm
}

if [ $# -eq 0 ]; then
    for surface in filters/*/surface.txt; do
        set -- "$@" "$(basename "${surface%/surface.txt}")"
    done
fi
for name in "$@"; do
    case $name in empty | scan | store-contract | task-contract) continue ;; esac
    [ -f "filters/$name/surface.txt" ] || die "no filter '$name': there is no filters/$name/surface.txt"
done
choose_toolchain
for name in "$@"; do
    case $name in
        empty) build_empty ;;
        scan) build_scan ;;
        store-contract | task-contract) build_contract "$name" ;;
        *) build_filter "$name" ;;
    esac
done
