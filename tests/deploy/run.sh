#!/usr/bin/env bash
# Tests what envoy/ ships: configurations, manifests, images, compose file, rules and dashboard.
#   tests/deploy/run.sh [test]...
#   tests/deploy/run.sh picture      draws the dashboard instead
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
root=$(cd "$here/../.." && pwd -P)
python=$("$root/envoy/python.sh" deploy "$here/requirements.txt")
ENVOY=$("$root/envoy/find-envoy.sh")
export ENVOY

# Prometheus and promtool, unpacked and not installed: as an installed package, it would start as a service.
if ! command -v promtool >/dev/null; then
    tools=$root/.venv/prometheus
    if [ ! -d "$tools" ] && command -v apt-get >/dev/null; then
        download=$(mktemp -d)
        trap 'rm -rf "$download"' EXIT
        if (cd "$download" && apt-get download -qq prometheus) 2>/dev/null; then
            dpkg -x "$download"/prometheus_*.deb "$tools"
        fi
    fi
    PATH=$PATH:$tools/usr/bin
fi

cd "$here"
export PYTHONDONTWRITEBYTECODE=1
if [ "${1:-}" = picture ]; then exec "$python" picture.py; fi
"$python" -m unittest "${@:-discover}" --verbose
