"""The model server that the demo talks to: one of its own, or the one the user named.

Whichever it is, it must answer as an OpenAI-compatible server does; what it cannot do is said in one sentence
before any traffic is sent. `measure` finds how many chats a second it answers, from which the demo derives
limits that fit it.
"""

import asyncio
import os
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import openai

STARTUP = 120
ANSWER_TOKENS = 16
QUESTIONS = (
    "Name three colours of the sea.",
    "What does a tide gate do?",
    "Why is the sky blue?",
    "What do llamas eat?",
    "How deep is the ocean?",
)


class Failure(Exception):
    """A failure and its remedy, in one sentence for the user."""


@dataclass(frozen=True)
class Model:
    address: str
    name: str
    key: str | None

    def client(self, **options):
        return openai.AsyncOpenAI(base_url=f"{self.address}/v1", api_key=self.key or "none", **options)


def question(number):
    return {
        "messages": [{"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}],
        "max_tokens": ANSWER_TOKENS,
    }


def base_address(url):
    """`https://host:port/v1/` as people write it, without the `/v1`."""
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Failure(f"UPSTREAM is {url!r}; write it as http://host:port or https://host.")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1')}"


async def find(address, server=None):
    """Waits for a server of ours to load, then asks which model it serves and has it answer once."""
    key = None if server else os.environ.get("OPENAI_API_KEY")
    wanted = None if server else os.environ.get("MODEL")
    model = Model(address, wanted or "", key)
    async with model.client(max_retries=0, timeout=60) as client:
        try:
            names = [listed.id async for listed in await listing(client, server)]
            if not names:
                raise Failure(f"{address} lists no model; load one, then run this again.")
            model = Model(address, wanted or names[0], key)
            answer = await client.chat.completions.create(model=model.name, **question(0))
            if not answer.choices:
                raise ValueError("an answer without choices")
        except openai.APIConnectionError as error:
            why = str(error.__cause__ or "") or error
            raise Failure(f"{address} does not answer ({why}); is the server running?") from error
        except openai.AuthenticationError as error:
            raise Failure(f"{address} wants a key; set OPENAI_API_KEY to one that it accepts.") from error
        except openai.APIStatusError as error:
            raise Failure(
                f"{address} answered {error.status_code} to {error.request.method} {error.request.url.path}; "
                "the demo needs an OpenAI-compatible server with /v1/models and /v1/chat/completions."
            ) from error
        except (openai.OpenAIError, ValueError, AttributeError, TypeError) as error:
            raise Failure(
                f"{address} answers, but not as an OpenAI-compatible server does; is it the right address?"
            ) from error
    return model


async def listing(client, server):
    deadline = time.monotonic() + STARTUP
    while True:
        try:
            return await client.models.list()
        except openai.InternalServerError:
            if server is None or time.monotonic() > deadline:
                raise
        if server.has_ended:
            server.complain()
        await asyncio.sleep(0.2)


async def measure(model, at_once, seconds):
    """The chats a second that the server answers when so many are asked at once."""
    answered = 0
    started = time.monotonic()

    async def keep_asking(client, number):
        nonlocal answered
        while time.monotonic() < started + seconds:
            await client.chat.completions.create(model=model.name, **question(number))
            number += at_once
            answered += 1

    async with model.client(max_retries=0, timeout=60) as client:
        try:
            await asyncio.gather(*(keep_asking(client, number) for number in range(at_once)))
        except openai.OpenAIError as error:
            raise Failure(f"{model.address} failed when {at_once} chats were asked at once: {error}") from error
    return answered / (time.monotonic() - started)
