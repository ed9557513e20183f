#!/usr/bin/env bash
# Runs a command with a Docker engine of its own, for machines that have dockerd (Debian's docker.io) and no service:
#   tests/deploy/with-dockerd.sh tests/deploy/run.sh test_compose
# Needs root. The engine, its images and containers go when the command ends; its bridge docker0 stays.
set -euo pipefail

place=$(mktemp -d)
export DOCKER_HOST=unix://$place/docker.sock
dockerd --host "$DOCKER_HOST" --data-root "$place/data" --exec-root "$place/exec" --pidfile "$place/pid" \
    >"$place/log" 2>&1 &
engine=$!
trap 'kill "$engine" 2>/dev/null && wait "$engine"; rm -rf "$place"' EXIT

for _ in $(seq 60); do
    if docker info >/dev/null 2>&1; then
        status=0
        "$@" || status=$?
        exit "$status"
    fi
    kill -0 "$engine" 2>/dev/null || break
    sleep 0.5
done
echo "with-dockerd.sh: dockerd does not start:" >&2
tail -n 5 "$place/log" >&2
exit 1
