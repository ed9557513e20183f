"""The model server that stands behind Envoy: SLOTS requests at a time, the others wait in the order they came.

As a GPU server does, it gives a request its slot when it has read the head, and takes it back when the answer is
sent: a body that trickles and a client that does not read hold one; `GET /health` needs none. Answers come after SERVICE seconds: to `GET
/v1/files/long?N` one of N MiB (1 or 4), to others a short one; only `GET /v1/files/events?N` gets a stream of N events, one
a second. Prints its port.
"""

import asyncio
import re

SLOTS = 64
SERVICE = 0.02

HEAD_END = b"\r\n\r\n"
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding: *chunked")
LAST_CHUNK = b"0\r\n\r\n"
EVENTS = re.compile(rb"GET /v1/files/events\?(\d+) ")
LONG = re.compile(rb"GET /v1/files/long\?([14]) ")

SHORT = b'{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"Low tide."}}]}'
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b"data: tide\n\n"
ANSWERS = {None: JSON % len(SHORT) + SHORT} | {size: JSON % (size << 20) + bytes(size << 20) for size in (1, 4)}


class Connection(asyncio.Protocol):
    def __init__(self, slots: asyncio.Semaphore):
        self._slots = slots
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
                await self._send(ANSWERS[None])
                continue
            async with self._slots:
                await self._body(head)
                await self._answer(head)

    async def _answer(self, head):
        if events := EVENTS.match(head):
            await self._send(STREAM)
            for _ in range(int(events[1])):
                await self._send(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
                await asyncio.sleep(1)
            return await self._send(LAST_CHUNK)
        await asyncio.sleep(SERVICE)
        long = LONG.match(head)
        answer = ANSWERS[long and int(long[1])]
        await self._send(answer[: answer.index(HEAD_END) + len(HEAD_END)] if head.startswith(b"HEAD ") else answer)

    async def _body(self, head):
        if length := LENGTH.search(head):
            await self._take(int(length[1]))
        elif CHUNKED.search(head):
            await self._through(LAST_CHUNK)

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


async def main():
    slots = asyncio.Semaphore(SLOTS)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(slots), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
