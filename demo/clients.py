"""A client of the demo that runs until it is ended: `clients.py polite|hostile <address>`.

It prints its figures every ten seconds, and waits for an address that does not answer yet.
"""

import asyncio
import sys

import upstream
from traffic import Flooder, Polite
from upstream import Failure

ROUND = 10
CONNECTIONS = 32
MODEL = "smollm2-135m-instruct"


async def polite(address):
    client = Polite(address, MODEL, every=4)
    await client.run(ROUND)
    return f"asked {client.asked}, answered {len(client.latencies)}, failed {client.failed}"


async def hostile(address):
    client = Flooder(address, MODEL, CONNECTIONS)
    await client.run(ROUND)
    return f"sent {client.sent}, admitted {client.admitted}, refused {client.refused}, failed {client.failed}"


async def main(who, address):
    while True:
        try:
            await upstream.find(address)
            break
        except Failure as failure:
            print(f"{who}: {failure}", flush=True)
            await asyncio.sleep(2)
    while True:
        print(f"{who}: {await who_is[who](address)}", flush=True)


who_is = {"polite": polite, "hostile": hostile}

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
