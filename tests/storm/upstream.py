"""The model server behind Envoy: SLOTS requests at a time, each for SERVICE seconds, and QUEUE more that wait.

As inference servers do, it rather queues than refuses: only beyond its queue, which it serves in three seconds, it
answers 503. While it fails, half of what it has served is answered 500. Prints its port; reads from stdin when to fail, and at the end says what came and when.
"""

import asyncio
import json
import random
import re
import sys
import time

SLOTS = 6
SERVICE = 0.02
QUEUE = 900

ATTEMPT = re.compile(rb"(?i)\r\nx-stainless-retry-count: *(\d+)")
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
BODY = b'{"object":"list","data":[]}'


def answer(status):
    head = f"HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n"
    return head.encode() + BODY


class Server:
    def __init__(self):
        self.slots = asyncio.Semaphore(SLOTS)
        self.waiting = 0
        self.arrivals = []
        self.failing = (0, 0, 0)

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if length := LENGTH.search(head):
                    await reader.readexactly(int(length[1]))
                attempt = ATTEMPT.search(head)
                self.arrivals.append((time.monotonic(), int(attempt[1]) if attempt else 0))
                writer.write(answer(await self.status()))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            writer.close()

    async def status(self):
        if self.waiting >= QUEUE:
            return 503
        self.waiting += 1
        async with self.slots:
            self.waiting -= 1
            await asyncio.sleep(SERVICE)
        begin, end, share = self.failing
        return 500 if begin <= time.monotonic() < end and random.random() < share else 200


async def main():
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while order := json.loads(await loop.run_in_executor(None, sys.stdin.readline) or "null"):
        server.failing = order
    print(json.dumps(server.arrivals), flush=True)


asyncio.run(main())
