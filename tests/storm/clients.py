"""Clients that do as openai-python does with its defaults, each with a key of its own.

A call is tried up to three times after 408, 409, 429 and every 5xx, unless `x-should-retry: false`; after the wait of
`retry-after-ms` or `retry-after` (up to 120 s), else after 0.5 s · 2^n less up to a quarter. Calls are due at a steady
pace, whether those before were answered or not. Each is given back as when it was due, when it ended, its status, and
when it was tried.
"""

import asyncio
import random
import time

from tests.lab.load import Client, run, until

RETRIED = {408, 409, 429}
RETRIES = 2


def wait(headers, attempt):
    told = headers.get("retry-after-ms"), headers.get("retry-after")
    for value, unit in zip(told, (0.001, 1)):
        if value and 0 < float(value) * unit <= 120:
            return float(value) * unit
    return min(0.5 * 2**attempt, 8) * random.uniform(0.75, 1)


async def call(client, due):
    await until(due)
    tried = []
    for attempt in range(RETRIES + 1):
        tried.append(time.monotonic())
        answer = await client.ask("/v1/models", x_stainless_retry_count=str(attempt))
        retries = (answer.status in RETRIED or answer.status >= 500) and answer.headers.get("x-should-retry") != "false"
        if not retries or attempt == RETRIES:
            break
        await asyncio.sleep(wait(answer.headers, attempt))
    return due, time.monotonic(), answer.status, tried


async def main(port, clients, calls, span, begin):
    every = span / calls
    due = [(key, begin + every * (number + key / clients)) for key in range(clients) for number in range(calls)]
    known = [Client(port, f"sk-{key}") for key in range(clients)]
    return await asyncio.gather(*(call(known[key], at) for key, at in due))


if __name__ == "__main__":
    run(main)
