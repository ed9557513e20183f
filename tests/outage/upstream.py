"""The model server behind Envoy: SLOTS requests at a time, each for SERVICE seconds; the others wait in their order.

As inference servers do, it queues rather than refuses, a request holds its slot until its answer is complete, and one
whose client has gone gives its slot back. While it is browned out, prompts that say `long` take `slow` seconds
instead. Takes the port to listen on (0: any), slots and service; prints its port; reads from stdin when to be browned
out and how slow to be; at the end says when each request arrived and when each began to be answered.
"""

import asyncio
import json
import sys
import time

PORT, SLOTS, SERVICE = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
WORDS = 4


def answer(text):
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"id": "1", "object": "chat.completion", "model": "small", "choices": [choice]}).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def event(text, reason=None):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": reason}
    chunk = {"id": "1", "object": "chat.completion.chunk", "model": "small", "choices": [choice]}
    return framed(json.dumps(chunk))


def framed(data):
    data = f"data: {data}\n\n".encode()
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


class Server:
    def __init__(self):
        self.slots = asyncio.Semaphore(SLOTS)
        self.log = []
        self.brown_out = (0, 0, 0)

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.log.append(("arrived", time.monotonic()))
                if not await self.unless_gone(reader, self.answer(writer, json.loads(body))):
                    break
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        writer.close()

    async def unless_gone(self, reader, work):
        """Whether the work was done before the client left."""
        work, gone = asyncio.create_task(work), asyncio.create_task(reader.read(1))
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        done = work.done()
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)
        return done

    async def answer(self, writer, request):
        async with self.slots:
            prompt = request["messages"][-1]["content"]
            begin, end, slow = self.brown_out
            late = prompt.startswith("long") and begin <= time.monotonic() < end
            await asyncio.sleep(slow if late else SERVICE)
            self.log.append(("answered", time.monotonic()))
            if not request.get("stream"):
                writer.write(answer(f"answer to {prompt}"))
                return
            writer.write(STREAM + event("answer"))
            for _ in range(WORDS):
                await asyncio.sleep(SERVICE / WORDS)
                writer.write(event(" word"))
            writer.write(event("", "stop") + framed("[DONE]") + b"0\r\n\r\n")


async def main():
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", PORT, backlog=4096)
    print(listening.sockets[0].getsockname()[1], flush=True)
    loop = asyncio.get_running_loop()
    while order := json.loads(await loop.run_in_executor(None, sys.stdin.readline) or "null"):
        server.brown_out = order
    print(json.dumps(server.log), flush=True)


asyncio.run(main())
