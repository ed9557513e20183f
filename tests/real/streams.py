"""Streams of a real model server (llama.cpp, on CPU) through the reference configurations as they are but for addresses.

Every API that streams is asked as a client writes it by hand, and by the unmodified SDKs. Fails if an answer is not what
the server gives without Envoy in its kind and end, is held to its end, or counts as a failure of the cluster.
"""

import json
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path

import anthropic
import openai

from gateway import Failure, Gateway, start_model

from table import table

ASKED = [{"role": "user", "content": "Count from one to ten in words."}]
TOKENS = 48
STREAMS = {
    "/v1/chat/completions": {"messages": ASKED, "max_tokens": TOKENS, "stream": True},
    "/v1/responses": {"model": "m", "input": ASKED, "max_output_tokens": TOKENS, "stream": True},
    "/v1/messages": {"model": "m", "messages": ASKED, "max_tokens": TOKENS, "stream": True},
    "/completion": {"prompt": "One, two,", "n_predict": TOKENS, "stream": True},
    "/v1/completions": {"prompt": "One, two,", "max_tokens": TOKENS, "stream": True},
}
ROUNDS = 5


def stream(port: int, path: str) -> dict:
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    begun = time.monotonic()
    headers = {"content-type": "application/json", "authorization": "Bearer sk-real"}
    connection.request("POST", path, json.dumps(STREAMS[path]), headers)
    answer = connection.getresponse()
    first, text = None, b""
    while chunk := answer.read1(65536):
        first = first or time.monotonic() - begun
        text += chunk
    connection.close()
    whole = time.monotonic() - begun
    events = text.count(b"data: ")
    return {"status": answer.status, "first": first or whole, "whole": whole, "events": events}


def sdks(port: int) -> dict:
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="sk-sdk", max_retries=0)
    said = {}
    # Not `responses.stream`, whose helper stumbles over llama.cpp's own events, which lack a `content_index`.
    events = client.responses.create(model="m", input=ASKED, max_output_tokens=TOKENS, stream=True)
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    said["OpenAI responses.create, stream"] = "".join(deltas)
    chunks = client.chat.completions.create(model="m", messages=ASKED, max_tokens=TOKENS, stream=True)
    parts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    said["OpenAI chat.completions, stream"] = "".join(parts)
    client = anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key="sk-sdk", max_retries=0)
    with client.messages.stream(model="m", messages=ASKED, max_tokens=TOKENS) as events:
        said["Anthropic messages.stream"] = events.get_final_text()
    return said


def rows_of(gateway: Gateway, file: str, direct: int) -> list:
    rows = []
    for path in STREAMS:
        pairs = [(stream(direct, path), stream(gateway.port, path)) for _ in range(ROUNDS)]
        alone, through = ([pair[which] for pair in pairs] for which in (0, 1))
        median = lambda answers, what: sorted(answer[what] for answer in answers)[ROUNDS // 2]  # noqa: E731
        for answer in through:
            if answer["status"] != 200 or answer["events"] < 2:
                raise Failure(f"{file}, {path}: {answer}")
            if answer["whole"] > 0.2 and answer["first"] > 0.9 * answer["whole"]:
                raise Failure(f"{file}, {path} was held to its end: {answer}")
        times = [f"{1000 * median(answers, 'first'):.0f}" for answers in (alone, through)]
        rows.append([file, path, f"{median(through, 'events')} events", *times])
    for name, text in sdks(gateway.port).items():
        if not text.strip():
            raise Failure(f"{file}, {name}: nothing was said")
        rows.append([file, name, f"{len(text)} characters", "", ""])
    for what in ("failures", "overloads", "breaker_opened"):
        if gateway.counted(what):
            raise Failure(f"{file}: {what} is {gateway.counted(what)}")
    return rows


def main():
    envoy, python = sys.argv[1:]
    model, address = start_model(python)
    direct = int(address.split(":")[1])
    rows = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            for file in ("envoy.yaml", "envoy-composite.yaml"):
                gateway = Gateway(envoy, Path(folder), file, address)
                try:
                    rows += rows_of(gateway, file, direct)
                finally:
                    gateway.stop()
    except Failure as failure:
        sys.exit(f"real: {failure}")
    finally:
        model.kill()
    titles = ["configuration", "asked", "answered", "first byte alone, ms", "through, ms"]
    columns = [(title, lambda row, place=place: row[place]) for place, title in enumerate(titles)]
    print(table(columns, rows))
    print("No failure, no overload, no breaker opened.")


main()
