"""A model server that answers a chat as it is told to, and can be cut off and come back."""

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANSWER = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Low tide."}, "finish_reason": "stop"}],
}


class Model:
    def __init__(self):
        self.port = 0
        self.restart()

    def restart(self):
        self.status, self.delay, self.is_cut = 200, 0.02, False
        self.connections = set()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                model.connections.add(self.request)
                super().setup()

            def finish(self):
                super().finish()
                model.connections.discard(self.request)

            def do_GET(self):
                self.answer(200 if self.path == "/health" else model.status)

            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length", 0)))
                time.sleep(model.delay)
                self.answer(model.status)

            def answer(self, status):
                if model.is_cut:
                    self.close_connection = True
                    return
                body = json.dumps(ANSWER if status == 200 else {"error": {"message": "out of memory"}}).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def cut(self):
        """As if its process had died: nobody listens, and all connections end."""
        self.is_cut = True
        self.server.shutdown()
        self.server.server_close()
        for connection in tuple(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
