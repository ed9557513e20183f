"""The model server behind Envoy: one JSON answer at once, or a stream of 200 chunks, as the request asks.

It is a process of its own that costs little, and its CPU time counts for no lane. A streamed answer sends one
chunk each millisecond, so that Envoy reads them one by one, as those of a model that thinks between its words; all
at once they would arrive as few large reads. It prints its port and serves until it is ended.
"""

import json
import select
import socket
import time

CHUNKS = 200
PACE = 0.001

MODEL = {"id": "chatcmpl-bench", "created": 1767225600, "model": "bench-70b"}
USAGE = {"prompt_tokens": 412, "completion_tokens": 199, "total_tokens": 611}

STREAMED = b'"stream": true'


def answer() -> bytes:
    message = {"role": "assistant", "content": "A filter is asked once, and answers in few words. " * 8}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps(MODEL | {"object": "chat.completion", "choices": [choice], "usage": USAGE}).encode()
    return head("application/json", f"content-length: {len(body)}") + body


def events() -> list[bytes]:
    def chunk(text: str) -> bytes:
        data = f"data: {text}\n\n".encode()
        return b"%x\r\n%b\r\n" % (len(data), data)

    choice = {"index": 0, "delta": {"content": " word"}, "finish_reason": None}
    word = chunk(json.dumps(MODEL | {"object": "chat.completion.chunk", "choices": [choice]}))
    opening = head("text/event-stream", "transfer-encoding: chunked") + word
    return [opening, *[word] * (CHUNKS - 2), chunk("[DONE]") + b"0\r\n\r\n"]


def head(kind: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{framing}\r\n\r\n".encode()


class Connection:
    def __init__(self, accepted: socket.socket):
        self.socket = accepted
        self.sent = 0
        self._received = bytearray()

    def take_request(self) -> bytes | None:
        """The next whole request, once it is there."""
        self._received += self.socket.recv(1 << 20) or self._gone()
        start = self._received.find(b"\r\n\r\n") + 4
        if start < 4:
            return None
        fields = bytes(self._received[:start]).lower()
        if b"transfer-encoding: chunked" in fields:
            end = len(self._received) if self._received.endswith(b"\r\n0\r\n\r\n") else None
        else:
            _, _, length = fields.partition(b"content-length: ")
            end = start + int(length.split(b"\r\n", 1)[0] or 0)
        if end is None or len(self._received) < end:
            return None
        request = bytes(self._received[:end])
        del self._received[:end]
        return request

    def _gone(self) -> bytes:
        raise ConnectionResetError


def serve(listener: socket.socket) -> None:
    at_once, in_chunks = answer(), events()
    connections: dict[int, Connection] = {}
    streams: dict[int, Connection] = {}
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    due = 0.0

    def forget(number: int) -> None:
        streams.pop(number, None)
        connections.pop(number).socket.close()

    while True:
        wait = max(due - time.monotonic(), 0) if streams else -1
        for number, _ in poll.poll(wait):
            if number == listener.fileno():
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[accepted.fileno()] = Connection(accepted)
                poll.register(accepted, select.EPOLLIN)
                continue
            connection = connections[number]
            try:
                request = connection.take_request()
                if request and STREAMED in request:
                    connection.sent = 0
                    streams[number] = connection
                elif request:
                    connection.socket.sendall(at_once)
            except OSError:
                forget(number)
        if not streams or time.monotonic() < due:
            continue
        due = time.monotonic() + PACE
        for number, connection in list(streams.items()):
            try:
                connection.socket.sendall(in_chunks[connection.sent])
                connection.sent += 1
            except OSError:
                forget(number)
                continue
            if connection.sent == CHUNKS:
                del streams[number]


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    serve(listener)


if __name__ == "__main__":
    main()
