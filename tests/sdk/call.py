"""Calls a server with an unmodified SDK and its defaults, and prints what came of each call.

The server answers 200 with a body that is no model list; that an SDK takes it as an answer is all that counts.
"""

import json
import sys
import time

import anthropic
import openai

CLIENTS = {
    "openai": lambda url: openai.OpenAI(base_url=f"{url}/v1", api_key="sk-test"),
    "anthropic": lambda url: anthropic.Anthropic(base_url=url, api_key="sk-test"),
}


def call(client):
    try:
        client.get("/models", cast_to=str)
        return "ok", None
    except (openai.APIStatusError, anthropic.APIStatusError) as error:
        body = error.body or {}
        return type(error).__name__, body.get("error", body)


def main():
    sdk, url, count = sys.argv[1:]
    client = CLIENTS[sdk](url)
    start = time.monotonic()
    outcomes = [call(client) for _ in range(int(count))]
    json.dump(
        {
            "calls": [outcome for outcome, _ in outcomes],
            "messages": [message for _, message in outcomes],
            "seconds": time.monotonic() - start,
        },
        sys.stdout,
    )


main()
