"""The workloads that are sent to every lane.

A body makes a request go to the upstream; one without is answered by Envoy itself. `requests` is what one turn
measures, `clients` the connections that share it. Envoy's capacity is measured with `saturating` connections.
"""

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    title: str
    path: str
    headers: dict[str, str]
    body: str = ""
    requests: int = 5_000
    clients: int = 8
    saturating: int = 32

    @property
    def method(self) -> str:
        return "POST" if self.body else "GET"

    def to_bytes(self, headers: dict[str, str] | None = None) -> bytes:
        """The request as HTTP/1.1, with `headers` instead of those of the same name."""
        body = self.body.encode()
        fields = {"host": "bench"} | self.headers | (headers or {})
        fields |= {"content-length": str(len(body))} if body else {}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode() + body


SHORT_HEADERS = {
    "authorization": "Bearer sk-bench-4f9a1c0d7e2b48d5a6c3f1e09b7d2a64",
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "user-agent": "OpenAI/Python 3.54.0",
    "x-stainless-lang": "python",
    "x-stainless-package-version": "3.54.0",
    "x-stainless-retry-count": "0",
    "x-stainless-read-timeout": "600",
}

SDK_HEADERS = SHORT_HEADERS | {
    "connection": "keep-alive",
    "x-stainless-os": "Linux",
    "x-stainless-arch": "x64",
    "x-stainless-runtime": "CPython",
    "x-stainless-runtime-version": "3.12.7",
    "x-stainless-async": "false",
}

CHAT_HEADERS = SDK_HEADERS | {"content-type": "application/json"}

QUESTION = "Explain to a colleague, in plain words, why a queue in front of a busy server must be short. "


def chat(size: int, stream: bool = False) -> str:
    """A chat completion request of exactly `size` bytes, as an SDK writes it."""

    def document(question: str) -> str:
        system = {"role": "system", "content": "You are a helpful assistant."}
        messages = [system, {"role": "user", "content": question}]
        return json.dumps({"model": "bench-70b", "messages": messages, "max_tokens": 256, "stream": stream})

    missing = size - len(document(""))
    return document((QUESTION * (missing // len(QUESTION) + 1))[:missing])


CHAT = "/v1/chat/completions"

WORKLOADS = {
    "models": Workload("GET without a body", "/v1/models", SDK_HEADERS),
    "models-short": Workload("GET with few headers", "/v1/models", SHORT_HEADERS),
    "chat": Workload("2 KB chat POST, JSON answer", CHAT, CHAT_HEADERS, chat(2_048), requests=2_000),
    "stream": Workload(
        "2 KB chat POST, answer in 200 chunks",
        CHAT,
        CHAT_HEADERS,
        chat(2_048, stream=True),
        requests=48,
        clients=48,
        saturating=128,
    ),
}

STANDARD = ("models", "chat", "stream")
