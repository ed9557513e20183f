"""Many clients in one thread: keep-alive connections that send given bytes and time their answers.

For what h2load cannot do: each request another one, requests that are due at a steady rate whatever the answers do
(a wait for a free connection counts as waiting), and the time of an answer's first byte.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from tests.lab import Failure

LATE = 0.002


@dataclass
class Timing:
    """Seconds from when a request was due to the first and to the last byte of its answer."""

    first: float
    last: float


class Connection:
    def __init__(self, port: int):
        self._address = ("127.0.0.1", port)
        self._open()

    def send(self, request: bytes, due: float) -> None:
        self.due, self.first, self._length = due, 0.0, None
        self._answer = bytearray()
        self.socket.sendall(request)

    def receive(self) -> bool:
        """Reads what is there; whether that completes the answer."""
        received = self.socket.recv(1 << 18)
        if not received:
            raise Failure(f"the connection was closed after {bytes(self._answer)!r}")
        self.first = self.first or time.perf_counter()
        self._answer += received
        if self._length is None and not self._read_head():
            return False
        if self._length < 0:
            return self._answer.endswith(b"\r\n0\r\n\r\n")
        return len(self._answer) >= self._length

    def _read_head(self) -> bool:
        end = self._answer.find(b"\r\n\r\n") + 4
        if end < 4:
            return False
        head = bytes(self._answer[:end]).lower()
        self.status = int(head[9:12])
        self.closes = b"connection: close" in head
        _, sized, length = head.partition(b"content-length: ")
        self._length = end + int(length.split(b"\r\n", 1)[0]) if sized else -1
        return True

    def reopen(self) -> None:
        self.socket.close()
        self._open()

    def _open(self) -> None:
        self.socket = socket.create_connection(self._address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Clients:
    def __init__(self, port: int, connections: int, status: int | None):
        self._status = status
        self._poll = select.epoll()
        self._all = {}
        self._free = deque()
        for _ in range(connections):
            self._add(Connection(port))

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        for connection in self._all.values():
            connection.socket.close()
        self._poll.close()

    def send_all(self, requests: Iterable[bytes]) -> int:
        """Sends each as soon as a connection is free; how many were sent."""
        sent = 0
        for request in requests:
            while not self._free:
                self._collect(-1)
            self._send(request, 0.0)
            sent += 1
        self._finish()
        return sent

    def send_at(self, rate: float, request: bytes, count: int) -> tuple[list[Timing], float]:
        """Sends one each `1 / rate` seconds. Also the share that went out late although a connection was free:
        where that is more than a hundredth, the timings tell of this program and not of the server."""
        timings, sent, late, start = [], 0, 0, time.perf_counter()
        while sent < count:
            due = start + sent / rate
            waited = time.perf_counter() - due
            if self._free and waited >= 0:
                late += waited > LATE and len(self._free) > 1
                self._send(request, due)
                sent += 1
            timings += self._collect(0)
        return timings + self._finish(), late / count

    def _finish(self) -> list[Timing]:
        timings = []
        while len(self._free) < len(self._all):
            timings += self._collect(-1)
        return timings

    def _send(self, request: bytes, due: float) -> None:
        self._free.popleft().send(request, due)

    def _collect(self, timeout: float) -> list[Timing]:
        timings = []
        for number, _ in self._poll.poll(timeout):
            connection = self._all[number]
            if not connection.receive():
                continue
            timings.append(Timing(connection.first - connection.due, time.perf_counter() - connection.due))
            if self._status not in (None, connection.status):
                raise Failure(f"status {self._status} expected, {connection.status} answered")
            if connection.closes:
                del self._all[number]
                connection.reopen()
                self._add(connection)
            else:
                self._free.append(connection)
        return timings

    def _add(self, connection: Connection) -> None:
        self._all[connection.socket.fileno()] = connection
        self._poll.register(connection.socket, select.EPOLLIN)
        self._free.append(connection)
