"""Clients that never retry, so that what each request got is seen.

A crowd: each client asks, waits PAUSE and asks again; every second question is one of a few that it repeats, every
second client streams. A pace: questions are due at a steady rate whatever the answers do, one in ten of them long.
Each question is given back as its kind, when it was asked, how long its answer took, and what that was: `cluster`,
`cached`, `default`, `error <status>`, `cut` in the middle, or `misshapen`.
"""

import asyncio
import json
import time

from tests.lab.load import Client, outcome, run, until

PAUSE = 0.2
REPEATED = 2
ONE_IN = 10


async def ask(client, kind, prompt, stream):
    asked = time.monotonic()
    messages = [{"role": "user", "content": prompt}]
    body = {"model": "small", "messages": messages, "max_tokens": 16, "stream": stream}
    answer = await outcome(client.ask("/v1/chat/completions", body))
    return kind, asked, time.monotonic() - asked, named(answer, stream)


def named(answer, stream):
    if isinstance(answer, str):
        return answer
    if answer.status != 200:
        return f"error {answer.status}"
    if not (is_whole_stream(answer.body) if stream else is_whole(answer.body)):
        return "misshapen"
    return answer.headers.get("x-tidegate-degraded", "cluster").split(";")[0]


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
    client, got = Client(port, f"sk-{number}"), []
    await until(begin + PAUSE * number / clients)
    while time.monotonic() < end:
        turn = len(got) // 2
        kind = ("repeated", "new")[len(got) % 2]
        prompt = f"again {turn % REPEATED}" if kind == "repeated" else f"new {turn}"
        got.append(await ask(client, kind, prompt, stream=number % 2 == 1))
        await asyncio.sleep(PAUSE)
    return got


async def one_of_a_pace(client, number, due):
    await until(due)
    kind = "short" if number % ONE_IN else "long"
    return await ask(client, kind, f"{kind} {number}", stream=False)


async def main(port, begin, end, crowd=0, rate=0):
    if crowd:
        each = await asyncio.gather(*(one_of_a_crowd(port, number, crowd, begin, end) for number in range(crowd)))
        return [call for calls in each for call in calls]
    client = Client(port, "sk-1")
    questions = range(int((end - begin) * rate))
    return await asyncio.gather(*(one_of_a_pace(client, number, begin + number / rate) for number in questions))


if __name__ == "__main__":
    run(main)
