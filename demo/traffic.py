"""The two clients. Each knows only an address and its own API key, and counts what it was given.

`Polite` is the unmodified OpenAI SDK: it asks on a fixed beat, whether or not the last answer has come, so that
a slow server cannot hide behind a client that asks less. `Flooder` keeps many connections busy, heeds no hint,
and is back a quarter of a second after each refusal: any faster, and on a small machine it would slow the model
server by its own appetite for CPU.
"""

import asyncio
import json
import re
import time
from urllib.parse import urlsplit

import openai

from upstream import question

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
PATIENCE = 5.0
LAST_ANSWERS = 60.0


class Polite:
    def __init__(self, address, model, every):
        self.client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="polite-client")
        self.model = model
        self.every = every
        self.asked = self.failed = 0
        self.latencies = []

    async def run(self, seconds):
        started = time.monotonic()
        conversations = []
        while (beat := started + self.asked * self.every) < started + seconds:
            await asyncio.sleep(beat - time.monotonic())
            conversations.append(asyncio.create_task(self.ask(self.asked)))
            self.asked += 1
        await settle(conversations, LAST_ANSWERS)
        await self.client.close()

    async def ask(self, number):
        started = time.monotonic()
        try:
            await self.client.chat.completions.create(model=self.model, **question(number))
            self.latencies.append(time.monotonic() - started)
        except openai.OpenAIError:
            self.failed += 1

    @property
    def success(self):
        return sum(latency <= PATIENCE for latency in self.latencies) / max(1, self.asked)


class Flooder:
    PAUSE = 0.25
    MOST = 20_000

    def __init__(self, address, model, connections):
        at = urlsplit(address)
        self.host, self.port = at.hostname, at.port
        self.model = model
        self.connections = connections
        self.sent = self.admitted = self.refused = self.failed = 0
        self.refusal = None

    async def run(self, seconds):
        end = time.monotonic() + seconds
        hammers = [asyncio.create_task(self.hammer(number, end)) for number in range(self.connections)]
        await settle(hammers, seconds + LAST_ANSWERS)

    async def hammer(self, number, end):
        while time.monotonic() < end and self.sent < self.MOST:
            self.sent += 1
            if not await self.request(number):
                await asyncio.sleep(self.PAUSE)

    async def request(self, number):
        """Sends a request on a connection of its own; true if it was admitted."""
        body = json.dumps({"model": self.model, **question(number)}).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: demo\r\nauthorization: Bearer flooding-client\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        answer = await self.exchange(head.encode() + body)
        status = answer[9:12]
        if status == b"200":
            self.admitted += 1
        elif status == b"429":
            self.refused += 1
            self.refusal = self.refusal or answer.decode(errors="replace")
        else:
            self.failed += 1
        return status == b"200"

    async def exchange(self, request):
        try:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return b""
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            return head + (await reader.readexactly(int(length[1])) if length else await reader.read())
        except (OSError, EOFError):
            return b""
        finally:
            writer.close()


async def settle(tasks, seconds):
    """Waits for answers that long; what is still open then is given up."""
    _, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
