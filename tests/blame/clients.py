"""Clients that never retry, so that what each request got is seen.

Honest ones have an address and a key of their own each; some of their jobs are long, half of the others stream.
Attackers ask from one address. Takes the port, when to begin, a seed and who asks, as JSON; prints for every request
who asked, when, how long it took, and what it got: `answered`, `smaller`, `left` or the status.
"""

import asyncio
import json
import random
import sys
import time

HONEST = 8
ATTACKER = "127.0.0.99"
DRIP, PAUSE = 600, 0.5
LONG = 4


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
        calls = []
        for n in range(times):
            calls.append(await self.ask(client, n * self.plan["patience"]))
        return calls

    async def ask(self, number, at):
        plan = self.plan
        await asyncio.sleep(self.begin + at - time.monotonic())
        asked = time.monotonic()
        try:
            got = await asyncio.wait_for(self.exchange(number), plan.get("patience", 90))
        except TimeoutError:
            got = "left"
        except (OSError, asyncio.IncompleteReadError):
            got = "cut"
        return plan["who"], asked - self.begin, time.monotonic() - asked, got

    async def exchange(self, number):
        address, head, body = self.request(number)
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        try:
            writer.write(f"{head}\r\nhost: blame\r\nconnection: close\r\n".encode())
            writer.write(f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode())
            for start in range(0, len(body), DRIP):
                writer.write(body[start : start + DRIP].encode())
                await writer.drain()
                if self.plan.get("drips"):
                    await asyncio.sleep(PAUSE)
                if reader.at_eof():
                    break
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await reader.read()
        finally:
            writer.close()
        status = answer.split()[1]
        smaller = "x-tidegate-degraded" in answer
        return ("smaller" if smaller else "answered") if status == "200" else status

    def request(self, number):
        """Address, beginning of the head, body."""
        plan = self.plan
        if plan["who"] == "honest":
            address, key = f"127.0.0.{11 + number % HONEST}", f"honest-{number % HONEST}"
        else:
            address, key = ATTACKER, f"attacker-{number}" if plan.get("made_up") else "attacker"
        if plan.get("lists"):
            return address, f"GET /v1/models HTTP/1.1\r\nauthorization: Bearer {key}", ""
        said, is_long = plan.get("says", ""), plan.get("long") and self.chance.random() * LONG < 1
        said = f"seconds {plan['long']}" if is_long else said
        body = {"model": "small", "messages": [{"role": "user", "content": f"{number}: {said}"}]}
        if not is_long and (number % 2 or plan["who"] != "honest"):
            body["stream"] = True
        if plan.get("drips"):
            body["padding"] = "x" * plan["drips"]
        return address, f"POST /v1/chat/completions HTTP/1.1\r\nauthorization: Bearer {key}", json.dumps(body)


async def main():
    port, begin, seed, plans = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
    groups = [Group(port, begin, seed, plan) for plan in plans]
    calls = await asyncio.gather(*(group.ask_all() for group in groups))
    json.dump([call for group in calls for call in group], sys.stdout)


asyncio.run(main())
