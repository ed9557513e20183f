#!/usr/bin/env bash
# The demo: a real LLM server, Envoy in front of it, one client that floods and one that chats politely,
# each with and without Tidegate. Started by `make demo`.
#
#   UPSTREAM=https://host[:port]   use this OpenAI-compatible server; without it a small model runs here, on CPU
#   OPENAI_API_KEY=...             the key for UPSTREAM, if it wants one
#   MODEL=...                      the model to ask UPSTREAM for; without it the first one that it lists
#
# Python packages go into .venv/ in the checkout. Nothing else is left behind.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/.." && pwd)
wasm=$root/dist/rate-limit.wasm

say() { printf '%s\n' "demo: $*"; }
fail() { printf '%s\n' "demo: $*" >&2; exit 1; }

# Each step is a process group of its own (set -m), so that whatever it started ends with it.
set -m
step=
stop() {
    [ -z "$step" ] || kill -- "-$step" 2>/dev/null || true
    wait 2>/dev/null || true
    say "stopped; nothing is left running." >&2
    exit 130
}
trap stop INT TERM HUP
run() { "$@" & step=$!; wait "$step" 2>/dev/null; }

[ -f "$wasm" ] || fail "dist/rate-limit.wasm is missing; run \`make build\` first."
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
    fail "python3 is missing or older than 3.10; install a newer one and run this again."

# Both print a path and install what is missing: first for that, where Ctrl-C can end it, then for the path.
demo_python() { "$root/envoy/python.sh" "$1" "$here/$2" --no-deps; }
run "$root/envoy/find-envoy.sh" >/dev/null || fail "there is no Envoy to run; the message above says why."
run demo_python demo requirements.txt >/dev/null || fail "the client is not there; the message above says why."
if [ -z "${UPSTREAM:-}" ]; then
    run demo_python demo-model requirements-model.txt >/dev/null ||
        fail "the model server is not there; the message above says why."
    model=$(demo_python demo-model requirements-model.txt)
fi

envoy=$("$root/envoy/find-envoy.sh")
python=$(demo_python demo requirements.txt)
export PYTHONPATH=$root
exec "$python" -B "$here/demo.py" --envoy "$envoy" --wasm "$wasm" \
    ${UPSTREAM:+--upstream "$UPSTREAM"} ${model:+--model-python "$model"}
