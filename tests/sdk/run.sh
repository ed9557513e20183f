#!/usr/bin/env bash
# Calls a server with an unmodified SDK and prints what came of it, as JSON.
#   tests/sdk/run.sh openai|anthropic|openai-node|anthropic-node <base url> [calls, 3 unless given]
#   tests/sdk/run.sh streams <base url>
#   tests/sdk/run.sh chat openai|anthropic|ollama <base url> <prompt>
#   tests/sdk/run.sh crowd <base url> <keys> <calls of each at once>
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
readonly here

npm_packages() {
    local folder=$here/../../.venv/sdk-node
    mkdir -p "$folder"
    exec 9>"$folder.lock"
    flock 9
    if ! cmp -s "$here/package.json" "$folder/installed.json"; then
        cp "$here/package.json" "$folder/package.json"
        npm install --silent --no-audit --no-fund --prefix "$folder" >&2
        cp "$here/package.json" "$folder/installed.json"
    fi
    cp "$here/call.js" "$folder/call.js"
    echo "$folder"
}

python() { "$here/../../envoy/python.sh" sdk "$here/requirements.txt"; }

case $1 in
    streams) exec "$(python)" "$here/streams.py" "$2" ;;
    chat) exec "$(python)" "$here/chat.py" "${@:2}" ;;
    crowd) exec "$(python)" "$here/crowd.py" "${@:2}" ;;
    *-node) folder=$(npm_packages) && exec node "$folder/call.js" "$1" "$2" "${3:-3}" ;;
    *) exec "$(python)" "$here/call.py" "$1" "$2" "${3:-3}" ;;
esac
