"""Clients that write their requests by hand, so that each may have an address, a key and a pace of its own.

A client never retries and never waits for the answer to another request, so what each request got is seen. A script
of clients is a module with a `main` that `run` calls; it prints what came of its requests as JSON.
"""

import asyncio
import inspect
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """Requests with one key from one address; connections are kept where a request asks for it."""

    def __init__(self, port: int, key: str, address: str = "127.0.0.1"):
        self._port, self._key, self._address = port, key, address
        self._free = []

    @property
    def is_connected(self) -> bool:
        """True while one of its kept connections is open."""
        return any(not reader.at_eof() and not writer.is_closing() for reader, writer in self._free)

    async def ask(
        self, path: str, body: dict | str | None = None, *, keep: bool = True, drip: tuple[int, float] = (), **headers
    ) -> Answer:
        """A POST where there is a body, else a GET. A body drips in pieces of so many bytes, each so many seconds
        after the other."""
        reader, writer = await self._connection(keep)
        kept = False
        try:
            text = body if isinstance(body, str) or body is None else json.dumps(body)
            writer.write(self._head(path, text, keep, headers))
            await dripping(reader, writer, (text or "").encode(), *drip)
            answer = await received(reader)
            kept = keep and answer.headers.get("connection") != "close"
            return answer
        finally:
            if kept:
                self._free.append((reader, writer))
            else:
                writer.close()

    def _head(self, path: str, text: str | None, keep: bool, headers: dict[str, str]) -> bytes:
        fields = {"host": "lab", "authorization": f"Bearer {self._key}"}
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        if not keep:
            fields["connection"] = "close"
        if text is not None:
            fields |= {"content-type": "application/json", "content-length": str(len(text.encode()))}
        lines = [f"{'GET' if text is None else 'POST'} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode()

    async def _connection(self, keep: bool):
        while keep and self._free:
            reader, writer = self._free.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection("127.0.0.1", self._port, local_addr=(self._address, 0))


async def dripping(reader, writer, body: bytes, piece: int = 0, pause: float = 0) -> None:
    """Writes a body, in pieces if asked; stops when the other side has closed."""
    start = time.monotonic()
    for number, at in enumerate(range(0, len(body), piece or max(1, len(body)))):
        if pause:
            await until(start + number * pause)
        if reader.at_eof():
            break
        writer.write(body[at : at + piece] if piece else body)
        await writer.drain()


async def received(reader) -> Answer:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
    if "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif "transfer-encoding" in headers:
        body = await chunks(reader)
    else:
        body = await reader.read()
    return Answer(int(first.split()[1]), headers, body)


async def chunks(reader) -> bytes:
    whole = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        whole += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return whole


async def outcome(asking, patience: float | None = None) -> Answer | str:
    """The answer; `no answer` within the client's patience, or `cut` where the connection ended before."""
    try:
        return await asyncio.wait_for(asking, patience)
    except TimeoutError:
        return "no answer"
    except (OSError, EOFError):
        return "cut"


async def until(at: float) -> None:
    await asyncio.sleep(at - time.monotonic())


def run(main: Callable) -> None:
    said = main(**json.loads(sys.argv[1]))
    json.dump(asyncio.run(said) if inspect.iscoroutine(said) else said, sys.stdout)
