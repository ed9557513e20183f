"""A model server that behaves as it is told to, and can be killed and come back on its port.

As a GPU server does, it gives a request its slot when it has read the head and takes it back when the answer is sent
or the client has gone: a body that trickles and a client that does not read hold one. Others wait in the order in
which they came. `GET /health` needs no slot. A prompt may say what becomes of it: `status 500`, or `seconds 20`.
`GET /v1/files/long?N` is answered with N MiB, `GET /v1/files/events?N` with a stream of N events, one a second.
"""

import asyncio
import functools
import json
import os
import random
import re
import sys
import time
from dataclasses import dataclass, replace

from tests.lab.process import Children

HANG = 3600
WORDS = 4
HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
FILE = re.compile(rb"GET /v1/files/(long|events)\?(\d+) ")
ORDER = re.compile(r"(status|seconds) (\d+(?:\.\d+)?)")
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LIST = b'{"object":"list","data":[]}'
ERROR = b'{"error":{"message":"out of memory"}}'


@dataclass(frozen=True)
class Behaviour:
    """The orders to the server. `service` is in seconds; beyond `queue` requests that wait for a slot, it answers 503. Spans begin and end at
    times of the monotonic clock: while it is `failing`, that share of requests is answered 500; while it is `slow`,
    prompts that begin with `long` take so many seconds."""

    slots: int = 1 << 20
    queue: int = 1 << 20
    service: float = 0
    status: int = 200
    listing: int = 200
    hangs: bool = False
    failing: tuple[float, float, float] = (0, 0, 0)
    slow: tuple[float, float, float] = (0, 0, 0)


class Model:
    """The server as a child process."""

    def __init__(self, children: Children, **behaviour):
        self._children, self._behaviour, self.port = children, behaviour, 0
        self.start()

    def start(self) -> None:
        """Starts it, again on the same port."""
        self._child = self._children.script("tests.lab.model", port=self.port, **self._behaviour)
        self.port = int(self._child.line())

    def behave(self, **changes) -> None:
        self._child.tell(changes)

    def kill(self) -> None:
        self._child.stop()

    def log(self) -> dict:
        """Ends the server, and returns the times and methods of the requests that arrived, health checks apart, and the
        times at which answers began."""
        return self._child.result()


class Server:
    def __init__(self, behaviour: Behaviour):
        self.behaviour = behaviour
        self.slots = asyncio.Semaphore(behaviour.slots)
        self.waiting = 0
        self.log = {"arrivals": [], "answers": []}


class Connection(asyncio.Protocol):
    def __init__(self, server: Server):
        self._server = server
        self._received = bytearray()
        self._arrived = asyncio.Event()
        self._sent = asyncio.Event()
        self._sent.set()

    def connection_made(self, transport):
        transport.set_write_buffer_limits(high=0)
        self._transport = transport
        self._serving = asyncio.create_task(self._serve())

    def data_received(self, data):
        self._received += data
        self._arrived.set()

    def pause_writing(self):
        self._sent.clear()

    def resume_writing(self):
        self._sent.set()

    def connection_lost(self, _):
        self._serving.cancel()

    async def _serve(self):
        while True:
            head = await self._through(HEAD_END)
            if head.startswith(b"GET /health "):
                await self._send(response(200, LIST))
                continue
            server = self._server
            server.log["arrivals"].append((time.monotonic(), head.split(b" ", 1)[0].decode("latin-1")))
            if server.waiting >= server.behaviour.queue:
                await self._body(head)
                await self._send(response(503, ERROR))
                continue
            server.waiting += 1
            try:
                await server.slots.acquire()
            finally:
                server.waiting -= 1
            try:
                await self._answer(head, await self._body(head))
            finally:
                server.slots.release()

    async def _answer(self, head, body):
        asked, came = question(body), time.monotonic()
        prompt, behaviour = prompt_of(asked), self._server.behaviour
        if behaviour.hangs:
            await asyncio.sleep(HANG)
        begin, end, seconds = behaviour.slow
        late = prompt.startswith("long") and begin <= came < end
        await asyncio.sleep(seconds if late else behaviour.service)
        status = behaviour.listing if head.startswith(b"GET ") and behaviour.status == 200 else behaviour.status
        begin, end, share = behaviour.failing
        if begin <= time.monotonic() < end and random.random() < share:
            status = 500
        elif order := ORDER.search(prompt):
            if order[1] == "status":
                status = int(order[2])
            else:
                await asyncio.sleep(float(order[2]))
        self._server.log["answers"].append(time.monotonic())
        if status != 200:
            return await self._send(response(status, ERROR))
        if file := FILE.match(head):
            return await (self._send(long(int(file[2]))) if file[1] == b"long" else self._events(int(file[2])))
        if asked.get("stream"):
            return await self._words(behaviour.service / WORDS)
        answer = response(200, chat(f"answer to {prompt}") if body else LIST)
        await self._send(answer[: answer.index(HEAD_END) + 4] if head.startswith(b"HEAD ") else answer)

    async def _words(self, pause):
        await self._send(STREAM + event({"content": "answer"}))
        for _ in range(WORDS):
            await asyncio.sleep(pause)
            await self._send(event({"content": " word"}))
        await self._send(event({}, "stop") + chunk(b"data: [DONE]\n\n") + chunk(b""))

    async def _events(self, count):
        await self._send(STREAM)
        for _ in range(count):
            await self._send(chunk(b"data: tide\n\n"))
            await asyncio.sleep(1)
        await self._send(chunk(b""))

    async def _body(self, head):
        if length := LENGTH.search(head):
            return await self._take(int(length[1]))
        whole = b""
        while CHUNKED.search(head) and (size := int(await self._through(b"\r\n"), 16)):
            whole += (await self._take(size + 2))[:-2]
        if CHUNKED.search(head):
            await self._take(2)
        return whole

    async def _through(self, end):
        seen = 0
        while (at := self._received.find(end, max(0, seen - len(end)))) < 0:
            seen = len(self._received)
            await self._more()
        return await self._take(at + len(end))

    async def _take(self, size):
        while len(self._received) < size:
            await self._more()
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    async def _more(self):
        self._arrived.clear()
        await self._arrived.wait()

    async def _send(self, data):
        self._transport.write(data)
        await self._sent.wait()


def response(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


@functools.cache
def long(mebibytes: int) -> bytes:
    return response(200, bytes(mebibytes << 20))


def chat(text: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return json.dumps({"id": "1", "object": "chat.completion", "model": "small", "choices": [choice]}).encode()


def event(delta: dict, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    data = {"id": "1", "object": "chat.completion.chunk", "model": "small", "choices": [choice]}
    return chunk(f"data: {json.dumps(data)}\n\n".encode())


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def question(body: bytes) -> dict:
    try:
        asked = json.loads(body or b"{}")
    except ValueError:
        asked = None
    return asked if isinstance(asked, dict) else {}


def prompt_of(asked: dict) -> str:
    messages = asked.get("messages")
    return str(messages[-1].get("content")) if messages else ""


async def main(port: int, **behaviour) -> None:
    server, loop = Server(Behaviour(**behaviour)), asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", port, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    while order := await loop.run_in_executor(None, sys.stdin.readline):
        server.behaviour = replace(server.behaviour, **json.loads(order))
    print(json.dumps(server.log), flush=True)
    # Connections that are still open would keep the loop waiting.
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
