"""Many calls at once by unmodified AsyncOpenAI clients with their defaults, one client for each key; prints how many
ended how."""

import asyncio
import json
import sys
from collections import Counter

import openai


async def call(client):
    try:
        await client.get("/models", cast_to=str)
        return "ok"
    except openai.APIStatusError as error:
        body = error.body or {}
        return str(body.get("code") or error.status_code)
    except openai.APIError as error:
        return type(error).__name__


async def main():
    url, keys, calls = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    clients = [openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=f"sk-{key}") for key in range(keys)]
    outcomes = await asyncio.gather(*(call(client) for client in clients for _ in range(calls)))
    json.dump(Counter(outcomes), sys.stdout)


asyncio.run(main())
