"""How long each way of keeping Envoy waiting for a request head lasts, and what closes it.

Each configuration is a fresh Envoy with the reference configuration of envoy/, with parts of it taken away:
`connection-guard` whole, or only its `headers`, or the connection manager's `request_headers_timeout`. Every way is
tried by CONNECTIONS connections at once, for LASTS seconds. Prints a table of the median time until Envoy closed
them, and how many were still open.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from statistics import median

from tests.attack.configurations import GUARD, filters_of, reference, require_modules, without
from tests.lab import scenario
from tests.lab.bootstrap import manager_of
from tests.lab.envoy import Envoy
from tests.lab.model import Model
from tests.lab.process import Children

CONNECTIONS = 10
LASTS = 30.0
PACE = 0.3

REQUEST = b"GET /v1/models HTTP/1.1\r\nhost: model\r\nauthorization: Bearer sk-slow\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
# :method GET, :scheme http, :path /, without END_HEADERS.
OPEN_HEAD = b"\0\0\3\1\1\0\0\0\1\x82\x86\x84"
# A field "a: b" that is not indexed.
CONTINUATION = b"\0\0\5\x09\0\0\0\0\1\0\1a\1b"
POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: model\r\ntransfer-encoding: chunked\r\n\r\n"

Way = Callable[[], AsyncIterator[bytes]]


async def slowly(data: bytes, pace: float) -> AsyncIterator[bytes]:
    for byte in data:
        yield bytes([byte])
        await asyncio.sleep(pace)


async def for_ever(piece: bytes, pace: float) -> AsyncIterator[bytes]:
    while True:
        yield piece
        await asyncio.sleep(pace)


async def nothing():
    for never in ():
        yield never


async def first_head():
    async for piece in slowly(REQUEST, PACE):
        yield piece


async def later_head():
    yield REQUEST
    await asyncio.sleep(1)
    async for piece in slowly(REQUEST, PACE):
        yield piece


async def endless_head():
    yield REQUEST[:-2]
    async for piece in for_ever(b"a: 0123456789abcdef\r\n", PACE):
        yield piece


async def just_in_time():
    while True:
        yield REQUEST[:-4]
        await asyncio.sleep(8.5)
        yield REQUEST[-4:]
        await asyncio.sleep(0.5)


async def preface():
    async for piece in slowly(PREFACE, 1):
        yield piece


async def preface_alone():
    yield PREFACE + SETTINGS


async def half_a_frame():
    yield PREFACE + SETTINGS + OPEN_HEAD[:5]


async def continuations():
    yield PREFACE + SETTINGS + OPEN_HEAD
    async for piece in for_ever(CONTINUATION, PACE):
        yield piece


async def chunk_size():
    yield POST + b"1;"
    async for piece in for_ever(b"a", PACE):
        yield piece


async def one_request():
    yield REQUEST


WAYS: dict[str, Way] = {
    "no byte at all": nothing,
    "a first head, a byte every 0.3 s": first_head,
    "a later head, a byte every 0.3 s": later_head,
    "a head at 70 B/s that never ends": endless_head,
    "heads of 70 bytes that take 8.5 s each": just_in_time,
    "HTTP/2's preface, a byte a second": preface,
    "HTTP/2's preface, then nothing": preface_alone,
    "half the header of an HTTP/2 frame": half_a_frame,
    "HTTP/2 CONTINUATION frames every 0.3 s": continuations,
    "the size of a chunk that never ends": chunk_size,
    "one whole request, then nothing": one_request,
}


def lax(model: int) -> dict:
    """The guard's caps alone: `headers` cannot be absent, so they allow what nobody waits for."""
    bootstrap = reference(model)
    (guard,) = (one for one in filters_of(bootstrap) if one["name"] == GUARD)
    written = guard["typed_config"]["config"]["configuration"]
    headers = {"timeout": "24h", "min_rate": "1B/s", "grace": "23h"}
    written["value"] = json.dumps(json.loads(written["value"]) | {"headers": headers})
    return bootstrap


def untimed(bootstrap: dict) -> dict:
    del manager_of(bootstrap)["request_headers_timeout"]
    return bootstrap


CONFIGURATIONS = {
    "Envoy's timeout alone": lambda model: without(reference(model), GUARD),
    "Envoy's timeout, caps": lax,
    "both": reference,
    "the guard alone": lambda model: untimed(reference(model)),
    "neither": lambda model: untimed(lax(model)),
}


async def tried(port: int, way: Way, number: int) -> float | None:
    """After how many seconds Envoy closed the connection; None if it did not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(f"127.0.4.{number + 1}", 0))
    start = time.monotonic()

    async def send():
        async for piece in way():
            writer.write(piece)

    sender = asyncio.create_task(send())
    try:
        async with asyncio.timeout(LASTS):
            while await reader.read(4096):
                pass
        return time.monotonic() - start
    except TimeoutError:
        return None
    except OSError:
        return time.monotonic() - start
    finally:
        sender.cancel()
        writer.close()


async def tried_all(port: int) -> dict[str, list[float | None]]:
    trials = [[tried(port, way, number) for number in range(CONNECTIONS)] for way in WAYS.values()]
    outcomes = await asyncio.gather(*(asyncio.gather(*trial) for trial in trials))
    return dict(zip(WAYS, outcomes))


def text(outcomes: list[float | None]) -> str:
    closed = [after for after in outcomes if after is not None]
    after = f"{median(closed):.1f} s" if closed else "open"
    return after if len(closed) in (0, len(outcomes)) else f"{after} ({len(outcomes) - len(closed)} open)"


def main() -> bool:
    require_modules()
    seen = {}
    for name, configuration in CONFIGURATIONS.items():
        with Children() as children:
            envoy = Envoy(children, configuration(Model(children).port), name=name.replace(" ", "-")).ready()
            seen[name] = asyncio.run(tried_all(envoy.port))
    print(" | ".join(["", f"closed within {LASTS:.0f} s", *CONFIGURATIONS, ""]).strip())
    for way in WAYS:
        print(" | ".join(["", way, *(text(seen[name][way]) for name in CONFIGURATIONS), ""]).strip())
    return True


if __name__ == "__main__":
    scenario.run("heads", main)
