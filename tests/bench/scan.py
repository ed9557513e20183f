"""The speed at which a chat of 1 MB is read in a VM of Envoy: by the scanner of `policy/`, and into a serde_json::Value.

The module `scan` reads a body as often as it is told to within one request. A speed is what more rounds cost more, in
CPU time, which the machine's other work does not lengthen as it does the clock; the readers take turns, and the
median of the turns counts.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench.clients import Clients
from tests.bench.workloads import CHAT, Workload
from tests.lab.envoy import Envoy

READERS = ("scan", "value")
MEGABYTE = 1_000_000
ROUNDS = 64
WARM_UP = 3
TURNS = 7

ENGLISH = "The quick brown fox jumps over the lazy dog. "
CHINESE = "请把下面这段话翻译成英文，然后总结要点。"
CODE = 'fn main() {\n    println!("hello");\n}\n'


@dataclass(frozen=True)
class Text:
    """A chat whose messages are so many characters long, written with or without `\\u`."""

    name: str
    sentence: str
    message: int = 1_000
    escaped: bool = False

    def body(self) -> str:
        content = (self.sentence * (self.message // len(self.sentence) + 1))[: self.message]

        def document(count: int) -> str:
            messages = [{"role": "user", "content": content}] * count
            return json.dumps({"model": "bench-70b", "messages": messages}, ensure_ascii=self.escaped)

        one, two = (len(document(count).encode()) for count in (1, 2))
        return document(max(1, MEGABYTE // (two - one)))


TEXTS = (
    Text("English", ENGLISH),
    Text("English, one message", ENGLISH, message=MEGABYTE),
    Text("code", CODE),
    Text("Chinese", CHINESE),
    Text("Chinese, as \\u", CHINESE, escaped=True),
)


def measure(envoy: Envoy) -> list[dict]:
    """A row for each text: bytes, and megabytes (10^6) a second by reader."""
    return [row(envoy, text) for text in TEXTS]


def row(envoy: Envoy, text: Text) -> dict:
    body = text.body()
    workload = Workload(text.name, CHAT, {"content-type": "application/json"}, body)
    size = len(body.encode())
    turns = [dict(speeds(envoy, workload, size)) for _ in range(WARM_UP + TURNS)][WARM_UP:]
    each = {reader: [turn[reader] for turn in turns] for reader in READERS}
    ratio = median(turn["scan"] / turn["value"] for turn in turns)
    return {"text": text.name, "bytes": size, "megabytes_per_second": each, "scan_over_value": round(ratio, 2)}


def speeds(envoy: Envoy, workload: Workload, size: int) -> Iterator[tuple[str, float]]:
    for reader in READERS:
        once, often = (cost(envoy, workload, reader, rounds) for rounds in (1, 1 + ROUNDS))
        yield reader, round(size * ROUNDS / (often - once) / 1e6, 1)


def cost(envoy: Envoy, workload: Workload, reader: str, rounds: int) -> float:
    request = workload.to_bytes({"x-reader": reader, "x-rounds": str(rounds)})
    before = envoy.cpu_seconds()
    with Clients(envoy.port, 1, 200) as clients:
        clients.send_all([request])
    return envoy.cpu_seconds() - before
