"""The honest clients: CLIENTS of them, each with its own address and key, each asking on a fixed beat.

They ask whether or not the last answer has come, so that a slow server cannot hide behind clients that ask less.
Every second request goes out on a kept connection, the others on fresh ones. They ask until stdin is closed. Each
request is given back as when it was due, how long its answer took, and its status or what went wrong.
"""

import asyncio
import sys
import time

from tests.lab.load import Client, outcome, run, until

CLIENTS = 16
EVERY = 0.125
PATIENCE = 6.0

BODY = {"model": "tide", "messages": [{"role": "user", "content": "When is low tide?"}]}
HEADERS = {"user_agent": "OpenAI/Python 3.54.0", "accept": "application/json"}


async def ask_until(told: asyncio.Event, client: Client, first: float) -> list:
    asking = []
    while not told.is_set():
        due = first + len(asking) * EVERY
        await until(due)
        asking.append(asyncio.create_task(ask(client, due, keep=len(asking) % 2 == 0)))
    return await asyncio.gather(*asking)


async def ask(client: Client, due: float, keep: bool) -> tuple:
    answer = await outcome(client.ask("/v1/chat/completions", BODY, keep=keep, **HEADERS), PATIENCE)
    return due, time.monotonic() - due, answer if isinstance(answer, str) else answer.status


async def main(port):
    told, start, loop = asyncio.Event(), time.monotonic(), asyncio.get_running_loop()
    loop.add_reader(sys.stdin, lambda: told.set() or loop.remove_reader(sys.stdin))
    clients = [Client(port, f"sk-honest-{number}", f"127.0.1.{number + 1}") for number in range(CLIENTS)]
    asked = [ask_until(told, one, start + at * EVERY / CLIENTS) for at, one in enumerate(clients)]
    return [outcome for outcomes in await asyncio.gather(*asked) for outcome in outcomes]


if __name__ == "__main__":
    run(main)
