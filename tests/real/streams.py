"""Streams of a real model through the reference configurations: of every API that streams, as a client writes it by
hand, and by the unmodified SDKs. It fails if an answer is not what the server gives without Envoy in its kind and end,
is held to its end, or counts as a failure of the cluster.
"""

import json
import time
from http.client import HTTPConnection
from statistics import median

from tests.lab import Failure
from tests.lab.envoy import Envoy
from tests.lab.report import table

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
HELD = 0.9


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


def rows_of(envoy: Envoy, file: str, direct: int, sdks) -> list:
    rows = []
    for path in STREAMS:
        pairs = [(stream(direct, path), stream(envoy.port, path)) for _ in range(ROUNDS)]
        alone, through = ([pair[which] for pair in pairs] for which in (0, 1))
        for answer in through:
            if answer["status"] != 200 or answer["events"] < 2:
                raise Failure(f"{file}, {path}: {answer}")
        # A client that is not scheduled meanwhile sees one stream late, but not most of them.
        begun = [answer["first"] / answer["whole"] for answer in through if answer["whole"] > 0.2]
        if begun and median(begun) > HELD:
            raise Failure(f"{file}, {path} was held to its end: {through}")
        times = [f"{1000 * median(answer['first'] for answer in answers):.0f}" for answers in (alone, through)]
        rows.append([file, path, f"{median(answer['events'] for answer in through)} events", *times])
    for name, text in sdks(envoy.port).items():
        if not text.strip():
            raise Failure(f"{file}, {name}: nothing was said")
        rows.append([file, name, f"{len(text)} characters", "", ""])
    for what, count in envoy.counters("degradation", "failures", "overloads", "breaker_opened").items():
        if count:
            raise Failure(f"{file}: {what} is {count}")
    return rows


TITLES = ("configuration", "asked", "answered", "first byte alone, ms", "through, ms")


def check(files, gateway, direct: int, sdks) -> None:
    rows = []
    for file in files:
        with gateway(file) as envoy:
            rows += rows_of(envoy, file, direct, sdks)
    print(table([(title, lambda row, at=at: row[at]) for at, title in enumerate(TITLES)], rows, left=(0, 1)))
    print("No failure, no overload, no breaker opened.\n", flush=True)
