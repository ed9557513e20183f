"""Sends every message back; a method `Fail` ends INTERNAL. Ends when its standard input does."""

import sys
from concurrent import futures

import grpc


def fail(_request, context):
    context.abort(grpc.StatusCode.INTERNAL, "out of memory")


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        method = details.method.rsplit("/", 1)[-1]
        if method == "Fail":
            return grpc.unary_unary_rpc_method_handler(fail)
        if method == "Bidi":
            return grpc.stream_stream_rpc_method_handler(lambda requests, _context: requests)
        return grpc.unary_unary_rpc_method_handler(lambda request, _context: request)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16), handlers=[Echo()])
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(port, flush=True)
sys.stdin.read()
server.stop(0)
