"""Honest clients that are slow: none of them may be cut.

A body of 200 KB at 2 KB/s; a connection that asks again after it was idle for longer than every timeout of the
configuration; a stream of events for five minutes. They go on at the same time, with all times scaled by `scale`.
Each is given back with what came of it.
"""

import asyncio

from tests.lab.load import Client, outcome, run

BODY = 200_000
DRIP = (1_000, 0.5)
IDLE = 310
EVENTS = 300


async def slow_body(port, scale):
    client = Client(port, "sk-patient", "127.0.2.1")
    return named(await outcome(client.ask("/v1/chat/completions", "{}".ljust(int(BODY * scale)), drip=DRIP)))


async def idle_between_requests(port, scale):
    client = Client(port, "sk-patient", "127.0.2.2")
    first = await outcome(client.ask("/v1/models"))
    if named(first) != "200":
        return named(first)
    await asyncio.sleep(IDLE * scale)
    return named(await outcome(client.ask("/v1/models"))) if client.is_connected else "cut while it was idle"


async def events(port, scale):
    count = int(EVENTS * scale)
    answer = await outcome(Client(port, "sk-patient", "127.0.2.3").ask(f"/v1/files/events?{count}"))
    received = 0 if isinstance(answer, str) else answer.body.count(b"data: ")
    return named(answer) if received == count else f"cut after {received} of {count} events"


def named(answer):
    return answer if isinstance(answer, str) else str(answer.status)


async def main(port, scale):
    piece, pause = DRIP
    trials = {
        f"a body of {BODY * scale / 1000:.0f} KB at {piece / pause / 1000:.0f} KB/s": slow_body,
        f"a connection idle for {IDLE * scale:.0f} s between two requests": idle_between_requests,
        f"a stream of events for {EVENTS * scale:.0f} s": events,
    }
    outcomes = await asyncio.gather(*(trial(port, scale) for trial in trials.values()))
    return dict(zip(trials, outcomes))


if __name__ == "__main__":
    run(main)
