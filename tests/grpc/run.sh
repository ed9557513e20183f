#!/usr/bin/env bash
# A gRPC server, which prints its port, or calls of an unmodified client, whose outcomes it prints as JSON.
#   tests/grpc/run.sh serve
#   tests/grpc/run.sh call <host:port> unary|bidi <seconds of silence> [size of each message]...
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd -P)
python=$("$here/../../envoy/python.sh" grpc "$here/requirements.txt")
exec "$python" "$here/$1.py" "${@:2}"
