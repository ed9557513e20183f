#!/usr/bin/env bash
# Prints the path of a Python that has the packages of a requirements file, and nothing else, on stdout.
#   envoy/python.sh <name> <requirements file> [pip option]...
# They live in the virtual environment .venv/<name> of this checkout, made anew when the file has changed. Two
# callers at once are safe: one installs, the other waits.
set -euo pipefail

name=$1 requirements=$2
shift 2
venv=$(cd "$(dirname "$0")/.." && pwd -P)/.venv/$name
python=$venv/bin/python

say() { echo "$name: $*" >&2; }
die() { say "$*"; exit 1; }

is_current() { cmp -s "$requirements" "$venv/requirements.txt"; }

has_venv() { python3 -c 'import venv, ensurepip' 2>/dev/null; }

install_venv() {
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    command -v apt-get >/dev/null || return 1
    say "installing python3-venv"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >&2
}

install() {
    rm -rf "$venv"
    has_venv || install_venv || die "python3 with its venv module is needed: install python3-venv"
    say "installing $(grep -oE '^[A-Za-z0-9_.-]+==[^ ]+' "$requirements" | paste -sd ' ') into .venv/$name"
    python3 -m venv "$venv"
    "$python" -m pip install --quiet --disable-pip-version-check "$@" --requirement "$requirements" >&2 \
        || die "pip could not install the packages of $requirements; its message is above"
    cp "$requirements" "$venv/requirements.txt"
}

if ! is_current; then
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock"
    flock 9
    is_current || install "$@"
fi
echo "$python"
