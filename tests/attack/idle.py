"""Holds many connections that asked once and are idle since.

They come from ADDRESSES addresses in turn, `count` of them within so many seconds. A line is printed when all are
open; once it is told a line on stdin, it asks again on some of them and gives back how many were open until then, and
how many of those that asked were answered.
"""

import asyncio
import json
import sys
import time

from tests.lab.load import run, until

ADDRESSES = 100
ASKED_AGAIN = 100

REQUEST = b"GET /v1/models HTTP/1.1\r\nhost: model\r\nauthorization: Bearer sk-idle-%d\r\n\r\n"


class Connection(asyncio.Protocol):
    def __init__(self, number: int):
        self._request = REQUEST % number
        self.answers = 0
        self.open = True

    def connection_made(self, transport):
        self._transport = transport
        self.ask()

    def ask(self):
        self._transport.write(self._request)

    def data_received(self, data):
        self.answers += data.count(b"HTTP/1.1 200 ")

    def connection_lost(self, _):
        self.open = False


async def main(port, count, seconds):
    loop, start, held = asyncio.get_running_loop(), time.monotonic(), []
    for number in range(count):
        await until(start + seconds * number / count)
        source = (f"127.0.3.{number % ADDRESSES + 1}", 0)
        _, made = await loop.create_connection(
            lambda number=number: Connection(number), "127.0.0.1", port, local_addr=source
        )
        held.append(made)
    await asyncio.sleep(1)
    print(json.dumps({"answered": sum(one.answers for one in held)}), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)

    still_open = [one for one in held if one.open]
    asked = still_open[:: max(1, len(still_open) // ASKED_AGAIN)]
    before = sum(one.answers for one in asked)
    for one in asked:
        one.ask()
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    again = sum(one.answers for one in asked) - before
    return {"open": len(still_open), "asked": len(asked), "answered": again}


if __name__ == "__main__":
    run(main)
