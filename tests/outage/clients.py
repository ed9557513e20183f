"""Clients that never retry, so that what each request got is seen.

A crowd: each client asks, waits PAUSE and asks again; every second question is one of a few that it repeats, every
second client streams. A pace: questions are due at a steady rate whatever the answers do, one in ten of them long.
Takes port, `crowd` or `pace`, how many clients or how many questions a second, and when to begin and to end; prints
for every question what it was, when it was asked, how long its answer took, and what that was: `cluster`, `cached`,
`default`, `error <status>`, `cut` in the middle, or `misshapen`.
"""

import asyncio
import json
import sys
import time

PAUSE = 0.2
REPEATED = 2
ONE_IN = 10


class Cut(Exception):
    pass


class Client:
    def __init__(self, port, number):
        self._port, self._key = port, number
        self._free = []

    async def ask(self, kind, prompt, stream):
        asked = time.monotonic()
        try:
            got = await self._exchange(prompt, stream)
        except (asyncio.IncompleteReadError, ConnectionError, Cut):
            got = "cut"
        return kind, asked, time.monotonic() - asked, got

    async def _exchange(self, prompt, stream):
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        message = {"role": "user", "content": prompt}
        body = json.dumps({"model": "small", "messages": [message], "max_tokens": 16, "stream": stream})
        writer.write(
            (
                f"POST /v1/chat/completions HTTP/1.1\r\nhost: outage\r\nauthorization: Bearer sk-{self._key}\r\n"
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            body = await chunks(reader)
        if headers.get("connection") == "close":
            writer.close()
        else:
            self._free.append((reader, writer))
        return named(status, headers, body, stream)


async def chunks(reader):
    whole = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return whole


def named(status, headers, body, stream):
    if status != 200:
        return f"error {status}"
    if not (is_whole_stream(body) if stream else is_whole(body)):
        return "misshapen"
    return headers.get("x-tidegate-degraded", "cluster").split(";")[0]


def is_whole(body):
    try:
        choice = json.loads(body)["choices"][0]
        return bool(choice["message"]["content"]) and choice["finish_reason"] == "stop"
    except (ValueError, LookupError):
        return False


def is_whole_stream(body):
    *events, end, nothing = body.decode().split("\n\n")
    try:
        choices = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    except (ValueError, LookupError):
        return False
    said = any(choice["delta"].get("content") for choice in choices)
    return said and choices[-1]["finish_reason"] == "stop" and (end, nothing) == ("data: [DONE]", "")


async def one_of_a_crowd(port, number, clients, begin, end):
    client, got = Client(port, number), []
    await asyncio.sleep(begin + PAUSE * number / clients - time.monotonic())
    while time.monotonic() < end:
        turn = len(got) // 2
        kind = ("repeated", "new")[len(got) % 2]
        prompt = f"again {turn % REPEATED}" if kind == "repeated" else f"new {turn}"
        got.append(await client.ask(kind, prompt, stream=number % 2 == 1))
        await asyncio.sleep(PAUSE)
    return got


async def at_a_pace(port, rate, begin, end):
    async def one(number):
        await asyncio.sleep(begin + number / rate - time.monotonic())
        kind = "short" if number % ONE_IN else "long"
        return await client.ask(kind, f"{kind} {number}", stream=False)

    client = Client(port, 1)
    return await asyncio.gather(*map(one, range(int((end - begin) * rate))))


async def main():
    port, kind, many, begin, end = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *map(float, sys.argv[4:6])
    if kind == "crowd":
        each = await asyncio.gather(*(one_of_a_crowd(port, number, many, begin, end) for number in range(many)))
        json.dump([call for calls in each for call in calls], sys.stdout)
    else:
        json.dump(await at_a_pace(port, many, begin, end), sys.stdout)


asyncio.run(main())
