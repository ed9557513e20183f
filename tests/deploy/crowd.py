"""Clients of every kind that the filters are for, each with an address of its own on this machine."""

import contextlib
import http.client
import itertools
import json
import socket
import threading
import time

QUESTIONS = ("What is a tide gate?", "Name a fish.", "How deep is the sea?", "Why is it salty?")
HOARD = 600
FLOODS = 8


class Crowd:
    """Runs until the end of the `with` block; those that do nothing but retry wait until it is `impatient`."""

    def __init__(self, port):
        self.front, self.over = ("127.0.0.1", port), threading.Event()
        self.impatient = threading.Event()
        self.threads = []

    def __enter__(self):
        for number in range(8):
            self.keep(0.3, self.ask_politely, f"127.0.1.{number + 1}", f"polite-{number}")
        for number in range(4):
            self.keep(0.12, self.retry, f"127.0.2.{number + 1}", f"retries-{number}")
        for _ in range(FLOODS):
            self.keep(0.03, self.flood, "127.0.3.1")
        for number, break_a_rule in enumerate(self.breaches()):
            self.keep(1, break_a_rule, f"127.0.4.{number + 1}")
        body = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 99\r\n\r\n"
        self.keep(1, self.trickle, "127.0.5.1", body, 8)
        self.keep(1, self.trickle, "127.0.5.2", b"POST /v1/chat", 4)
        self.keep(4, self.hoard, "127.0.6.1")
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def keep(self, pause, act, *arguments):
        def run():
            turns = itertools.count()
            while not self.over.wait(pause):
                # Refused, cut or without a server: what they get is counted by Envoy.
                with contextlib.suppress(OSError, http.client.HTTPException):
                    act(*arguments, next(turns))

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def send(self, address, method, path, body=None, **headers):
        connection = http.client.HTTPConnection(*self.front, timeout=10, source_address=(address, 0))
        try:
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, headers | ({"content-type": "application/json"} if body else {}))
            return connection.getresponse().read()
        finally:
            connection.close()

    def chat(self, address, key, content="Hello.", headers=None, **more):
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]} | more)
        headers = {"authorization": f"Bearer {key}"} | (headers or {})
        return self.send(address, "POST", "/v1/chat/completions", body, **headers)

    def ask_politely(self, address, key, turn):
        self.chat(address, key, QUESTIONS[turn % len(QUESTIONS)])

    def retry(self, address, key, turn):
        if self.impatient.is_set():
            self.chat(address, key, headers={"x_stainless_retry_count": str(turn % 2)})

    def flood(self, address, turn):
        self.chat(address, "flood")

    def breaches(self):
        return (
            lambda address, turn: self.send(address, "GET", "/v1/models", user_agent="a" * 2100),
            lambda address, turn: self.send(address, "GET", "/v1/models", x_long="a" * 9000),
            lambda address, turn: self.send(address, "TRACE", "/"),
            lambda address, turn: self.chat(address, "greedy", max_tokens=10_000_000),
            lambda address, turn: self.chat(address, "many", n=1_000),
            lambda address, turn: self.chat(address, "hidden", "Hel\u200blo."),
            lambda address, turn: self.chat(address, "other", f"Question {turn}."),
        )

    def trickle(self, address, begin, seconds, turn):
        with socket.create_connection(self.front, source_address=(address, 0)) as connection:
            connection.sendall(begin)
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline and not self.over.wait(0.5):
                connection.sendall(b"x")

    def hoard(self, address, turn):
        with contextlib.ExitStack() as connections:
            for _ in range(HOARD):
                there = socket.create_connection(self.front, source_address=(address, 0))
                connections.enter_context(there)
            self.over.wait(3)
