"""The honest clients: CLIENTS of them, each with its own address and key, each asking on a fixed beat.

They ask whether or not the last answer has come, so that a slow server cannot hide behind clients that ask less.
Every second request goes out on a kept connection, the others on fresh ones. Asks until its stdin is closed, then
prints what came of each request: when it was due, how long its answer took, and its status or what went wrong.
"""

import asyncio
import json
import re
import sys
import time

CLIENTS = 16
EVERY = 0.125
PATIENCE = 6.0

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
BODY = json.dumps({"model": "tide", "messages": [{"role": "user", "content": "When is low tide?"}]}).encode()
HEAD = (
    "POST /v1/chat/completions HTTP/1.1\r\nhost: model\r\nauthorization: Bearer sk-honest-{number}\r\n"
    "content-type: application/json\r\nuser-agent: OpenAI/Python 3.54.0\r\naccept: application/json\r\n"
    "content-length: {length}\r\nconnection: {connection}\r\n\r\n"
)


class Client:
    def __init__(self, number: int, port: int):
        self._address = f"127.0.1.{number + 1}"
        self._port = port
        self._heads = {
            kept: HEAD.format(number=number, length=len(BODY), connection="keep-alive" if kept else "close").encode()
            for kept in (True, False)
        }
        self._kept = []
        self.outcomes = []

    async def ask_until(self, told: asyncio.Event, first: float) -> None:
        asking = []
        while not told.is_set():
            due = first + len(asking) * EVERY
            await asyncio.sleep(due - time.monotonic())
            asking.append(asyncio.create_task(self._ask(due, kept=len(asking) % 2 == 0)))
        await asyncio.gather(*asking)

    async def _ask(self, due: float, kept: bool) -> None:
        try:
            outcome = await asyncio.wait_for(self._exchange(kept), PATIENCE)
        except TimeoutError:
            outcome = "no answer"
        except (OSError, EOFError):
            outcome = "cut"
        self.outcomes.append((due, time.monotonic() - due, outcome))

    async def _exchange(self, kept: bool) -> int:
        reader, writer = await self._connection(kept)
        done = False
        try:
            writer.write(self._heads[kept] + BODY)
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            await (reader.readexactly(int(length[1])) if length else reader.read())
            done = kept
            return int(head[9:12])
        finally:
            if done:
                self._kept.append((reader, writer))
            else:
                writer.close()

    async def _connection(self, kept: bool):
        while kept and self._kept:
            reader, writer = self._kept.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))


async def main():
    clients = [Client(number, int(sys.argv[1])) for number in range(CLIENTS)]
    told, start, loop = asyncio.Event(), time.monotonic(), asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: told.set() or loop.remove_reader(sys.stdin))
    await asyncio.gather(*(one.ask_until(told, start + at * EVERY / CLIENTS) for at, one in enumerate(clients)))
    json.dump([outcome for client in clients for outcome in client.outcomes], sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
