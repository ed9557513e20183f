"""The real SDKs among the clients, with their defaults: one thread each, one call a second. Their calls are given back
as those of `clients`, without the times of each attempt."""

import time
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai

from tests.lab.load import run


def calls(make, number, count, begin):
    client = make(number)
    outcomes = []
    for second in range(count):
        due = begin + second
        time.sleep(max(0, due - time.monotonic()))
        try:
            client.get("/models", cast_to=object)
            status = 200
        except (openai.APIStatusError, anthropic.APIStatusError) as error:
            status = error.status_code
        outcomes.append((due, time.monotonic(), status, []))
    return outcomes


def main(port, clients, count, begin):
    url = f"http://127.0.0.1:{port}"
    makes = [
        lambda n: openai.OpenAI(base_url=f"{url}/v1", api_key=f"sk-openai-{n}"),
        lambda n: anthropic.Anthropic(base_url=f"{url}/v1", api_key=f"sk-anthropic-{n}"),
    ]
    with ThreadPoolExecutor(2 * clients) as pool:
        running = [pool.submit(calls, make, n, count, begin) for make in makes for n in range(clients)]
        return [outcome for one in running for outcome in one.result()]


if __name__ == "__main__":
    run(main)
