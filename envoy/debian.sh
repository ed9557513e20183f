#!/usr/bin/env bash
# Prints the path of a program that is in a Debian package, and nothing else, on stdout.
#   envoy/debian.sh <program> <package>
# The first of: the program on PATH; the package unpacked into .venv/debian/ of this checkout, which needs no root and
# starts no service, if its libraries are there; the package installed by apt-get, where this user may.
set -euo pipefail

program=$1 package=$2
folder=$(cd "$(dirname "$0")/.." && pwd -P)/.venv/debian/$package
unpacked=$folder/usr/bin/$program

say() { echo "$program: $*" >&2; }
die() { say "$*"; exit 1; }

runs() { [ -x "$1" ] && ! ldd "$1" 2>/dev/null | grep -q 'not found'; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then env DEBIAN_FRONTEND=noninteractive "$@"; else sudo -n env DEBIAN_FRONTEND=noninteractive "$@"; fi
} >/dev/null 2>&1

unpack() {
    local download
    download=$(mktemp -d)
    say "unpacking Debian's package $package into .venv/debian/"
    (
        cd "$download"
        apt-get download -qq "$package" || { as_root apt-get update && apt-get download -qq "$package"; }
        mkdir -p "$folder"
        dpkg -x "$package"_*.deb "$folder"
    ) >/dev/null 2>&1 || true
    rm -rf "$download"
}

install() {
    say "installing Debian's package $package"
    as_root apt-get install -qq -y --no-install-recommends "$package"
}

if path=$(command -v "$program"); then
    echo "$path"
    exit
fi
if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
    mkdir -p "$(dirname "$folder")"
    exec 9>"$folder.lock"
    flock 9
    runs "$unpacked" || unpack
    runs "$unpacked" || install || true
fi
if runs "$unpacked"; then
    echo "$unpacked"
else
    command -v "$program" || die "$program is needed: it is in Debian's package $package"
fi
