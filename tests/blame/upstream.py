"""The model server behind Envoy. A chat says itself what becomes of it: `status 500`, or `seconds 20`; others are
answered at once. During an outage all fail, and a server that hangs answers nobody. A list of models is not for those
without a key of its own: 401.

Prints its port; reads from stdin when an outage is and whether it hangs, and at the end says when chats came.
"""

import asyncio
import json
import os
import re
import sys
import time

HANG = 3600
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
ORDER = re.compile(r"(status|seconds) (\d+(?:\.\d+)?)")
SAID = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
DELTA = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "stop"}]}


def answer(status, body, kind="application/json"):
    head = f"HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


class Server:
    def __init__(self):
        self.arrivals = []
        self.outage = (0, 0)
        self.hangs = False

    async def serve(self, reader, writer):
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                came = head.startswith(b"POST") and time.monotonic()
                body = await (reader.readexactly(int(length[1])) if length else chunks(reader, head))
                writer.write(await self.answer(head, body, came))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, head, body, came):
        if not came:
            return answer(200 if head.startswith(b"GET /health") else 401, "{}")
        self.arrivals.append(came)
        if self.hangs:
            await asyncio.sleep(HANG)
        begin, end = self.outage
        if begin <= came < end:
            return answer(500, "{}")
        asked = json.loads(body)
        for what, number in ORDER.findall(asked["messages"][0]["content"]):
            if what == "status":
                return answer(number, "{}")
            await asyncio.sleep(float(number))
        if asked.get("stream"):
            return answer(200, f"data: {json.dumps(DELTA)}\n\ndata: [DONE]\n\n", "text/event-stream")
        return answer(200, json.dumps(SAID))


async def chunks(reader, head):
    whole = b""
    if b"chunked" not in head:
        return whole
    while size := int(await reader.readuntil(b"\r\n"), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return whole


async def main():
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while order := json.loads(await loop.run_in_executor(None, sys.stdin.readline) or "null"):
        server.outage, server.hangs = order
    print(json.dumps(server.arrivals), flush=True)
    os._exit(0)


asyncio.run(main())
