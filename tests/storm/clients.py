"""Clients that do as openai-python does with its defaults, each with a key of its own.

A call is tried up to three times after 408, 409, 429 and every 5xx, unless `x-should-retry: false`; after the wait of
`retry-after-ms` or `retry-after` (up to 120 s), else after 0.5 s · 2^n less up to a quarter. Calls are due at a steady
pace, whether those before were answered or not. Takes port, clients, calls of each, the span in which each makes them
and the time at which to begin; prints for every call when it was due, when it ended, how, and when it was tried.
"""

import asyncio
import json
import random
import sys
import time

RETRIED = {408, 409, 429}
RETRIES = 2


class Pool:
    def __init__(self, port):
        self._port = port
        self._free = []

    async def ask(self, key, attempt):
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(
            b"GET /v1/models HTTP/1.1\r\nhost: storm\r\nauthorization: Bearer sk-%d\r\n"
            b"x-stainless-retry-count: %d\r\n\r\n" % (key, attempt)
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        await reader.readexactly(int(headers.get("content-length", 0)))
        self._free.append((reader, writer))
        return int(head[0].split()[1]), headers


def wait(headers, attempt):
    told = headers.get("retry-after-ms"), headers.get("retry-after")
    for value, unit in zip(told, (0.001, 1)):
        if value and 0 < float(value) * unit <= 120:
            return float(value) * unit
    return min(0.5 * 2**attempt, 8) * random.uniform(0.75, 1)


async def call(pool, key, due):
    await asyncio.sleep(due - time.monotonic())
    tried = []
    for attempt in range(RETRIES + 1):
        tried.append(time.monotonic())
        status, headers = await pool.ask(key, attempt)
        retries = (status in RETRIED or status >= 500) and headers.get("x-should-retry") != "false"
        if not retries or attempt == RETRIES:
            break
        await asyncio.sleep(wait(headers, attempt))
    return due, time.monotonic(), status, tried


async def main():
    port, clients, calls = map(int, sys.argv[1:4])
    span, begin = map(float, sys.argv[4:6])
    pool = Pool(port)
    every = span / calls
    due = [(key, begin + every * (number + key / clients)) for key in range(clients) for number in range(calls)]
    json.dump(await asyncio.gather(*(call(pool, key, at) for key, at in due)), sys.stdout)


asyncio.run(main())
