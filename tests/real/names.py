"""The number of tokens that a real model makes when it is asked for many, under every name that any server has for their
limit, through the reference configurations with a limit of a few. The check fails if there are more than that under any
name, or if no name makes more of it without Envoy, which would prove nothing.
"""

import json
import time
from http.client import HTTPConnection

from tests.lab import Failure
from tests.lab.report import table

LIMIT = 8
MANY = 40
CHAT = {"messages": [{"role": "user", "content": "Count from one to fifty in words."}]}
TEXT = {"prompt": "One, two, three,"}
NAMES = ["max_tokens", "max_completion_tokens", "n_predict", "max_new_tokens", "num_predict", "max_output_tokens"]
HOLDERS = {"options": "num_predict", "parameters": "max_new_tokens", "sampling_params": "max_new_tokens"}
WRITTEN = [MANY, float(MANY), str(MANY)]


def requests() -> list[tuple[str, str, dict]]:
    """The requests, as name, path and body."""
    asked = []
    for path, body in [("/v1/chat/completions", CHAT), ("/v1/completions", TEXT), ("/completion", TEXT)]:
        asked += [(name, path, body | {name: MANY}) for name in NAMES]
        asked += [(f"{holder}.{name}", path, body | {holder: {name: MANY}}) for holder, name in HOLDERS.items()]
        asked += [("two of them", path, body | {"max_tokens": 4, "n_predict": MANY})]
        asked += [(f"n_predict: {json.dumps(number)}", path, body | {"n_predict": number}) for number in WRITTEN]
        asked += [("N_PREDICT", path, body | {"N_PREDICT": MANY})]
        asked += [("n_predict: -1", path, body | {"n_predict": -1}), ("no name", path, body)]
    asked.append(("max_output_tokens", "/v1/responses", {"input": "Count to fifty.", "max_output_tokens": MANY}))
    asked.append(("max_tokens", "/v1/messages", CHAT | {"max_tokens": MANY}))
    return [(name, path, {"model": "m", "ignore_eos": True} | body) for name, path, body in asked]


def made(port: int, path: str, body: dict, tries: int = 9) -> str | int:
    """The number of tokens in an answer, or its status."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"content-type": "application/json", "authorization": "Bearer sk-names"}
    # What asks for no number would go on to the end of the context; a stream can be left behind.
    connection.request("POST", path, json.dumps(body | {"stream": True}), headers)
    answer = connection.getresponse()
    # A server that is slow to answer may be given up, and asked again.
    if answer.status == 503 and tries > 0:
        time.sleep(1)
        return made(port, path, body, tries - 1)
    if answer.status != 200:
        return f"status {answer.status} {answer.read(300)}"
    tokens = 0
    for line in answer:
        if line.startswith(b"data: {") and says(json.loads(line.removeprefix(b"data: "))):
            tokens += 1
        if tokens > MANY:
            break
    connection.close()
    return tokens


def says(event: dict) -> bool:
    """True if an event of any of the APIs carries a token."""
    choice = (event.get("choices") or [{}])[0]
    delta = event.get("delta")
    delta = delta.get("text") if isinstance(delta, dict) else delta
    return bool((choice.get("delta") or {}).get("content") or choice.get("text") or event.get("content") or delta)


TITLES = ("path", "asked under", "tokens alone", "chain", "composite")


def check(files, gateway, direct: int) -> None:
    asked = requests()
    rows = [[path, name, made(direct, path, body)] for name, path, body in asked]
    for file in files:
        with gateway(file, f'"max_completion_tokens": {{ "limit": {LIMIT}, "unset": "limit" }},') as envoy:
            for row, (_, path, body) in zip(rows, asked, strict=True):
                row.append(made(envoy.port, path, body))
    print(table([(title, lambda row, at=at: str(row[at])[:24]) for at, title in enumerate(TITLES)], rows, left=(0, 1)))
    beyond = [row for row in rows for tokens in row[3:] if not isinstance(tokens, int) or tokens > LIMIT]
    read = [row for row in rows if isinstance(row[2], int) and LIMIT < row[2] <= MANY]
    if not read:
        raise Failure(f"the server makes more than {LIMIT} tokens under no name, which proves nothing")
    print(f"{len(read)} of {len(rows)} names are read by this server; limit {LIMIT}.")
    if beyond:
        raise Failure(f"more than {LIMIT} tokens, or no answer: {beyond}")
