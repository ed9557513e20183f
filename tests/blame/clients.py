"""Clients that never retry, so that what each request got is seen.

Honest ones have an address and a key of their own each; some of their jobs are long, half of the others stream.
Attackers ask from one address. A plan says who asks, how often and for what. Each request is given back as who asked,
when, how long it took, and what it got: `answered`, `smaller`, `no answer`, `cut` or the status.
"""

import asyncio
import random
import time

from tests.lab.load import Client, outcome, run, until

HONEST = 8
ATTACKER = "127.0.0.99"
DRIP = (600, 0.5)
LONG = 4
PATIENCE = 90


class Group:
    def __init__(self, port, begin, seed, plan):
        self.port, self.begin, self.plan = port, begin, plan
        self.chance = random.Random(seed)

    async def ask_all(self):
        plan = self.plan
        rate, seconds = plan["rate"], plan["seconds"]
        if plan.get("together"):
            calls = [self.again_and_again(n, rate) for n in range(plan["together"])]
            return [call for calls in await asyncio.gather(*calls) for call in calls]
        times = [(n + self.chance.random()) / rate for n in range(round(rate * seconds))]
        return await asyncio.gather(*(self.ask(n, at) for n, at in enumerate(times)))

    async def again_and_again(self, client, times):
        return [await self.ask(client, n * self.plan["patience"]) for n in range(times)]

    async def ask(self, number, at):
        plan = self.plan
        await until(self.begin + at)
        asked = time.monotonic()
        path, body = self.question(number)
        drip = DRIP if plan.get("drips") else ()
        asking = self.client(number).ask(path, body, keep=False, drip=drip)
        got = named(await outcome(asking, plan.get("patience", PATIENCE)))
        return plan["who"], asked - self.begin, time.monotonic() - asked, got

    def client(self, number):
        if self.plan["who"] == "honest":
            return Client(self.port, f"honest-{number % HONEST}", f"127.0.0.{11 + number % HONEST}")
        return Client(self.port, f"attacker-{number}" if self.plan.get("made_up") else "attacker", ATTACKER)

    def question(self, number):
        plan = self.plan
        if plan.get("lists"):
            return "/v1/models", None
        said, is_long = plan.get("says", ""), plan.get("long") and self.chance.random() * LONG < 1
        said = f"seconds {plan['long']}" if is_long else said
        body = {"model": "small", "messages": [{"role": "user", "content": f"{number}: {said}"}]}
        if not is_long and (number % 2 or plan["who"] != "honest"):
            body["stream"] = True
        if plan.get("drips"):
            body["padding"] = "x" * plan["drips"]
        return "/v1/chat/completions", body


def named(answer):
    if isinstance(answer, str):
        return answer
    if answer.status != 200:
        return str(answer.status)
    return "smaller" if "x-tidegate-degraded" in answer.headers else "answered"


async def main(port, begin, seed, plans):
    groups = [Group(port, begin, seed, plan) for plan in plans]
    calls = await asyncio.gather(*(group.ask_all() for group in groups))
    return [call for group in calls for call in group]


if __name__ == "__main__":
    run(main)
