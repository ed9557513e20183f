"""Honest clients that are slow: none of them may be cut.

A body of 200 KB at 2 KB/s; a connection that asks again after it was idle for longer than every timeout of the
configuration; a stream of events for five minutes. They go on at the same time. Takes the port and by how much all
times are scaled, and prints one line for each: what it is, and what came of it.
"""

import asyncio
import json
import sys
import time

BODY = 200_000
RATE = 2_000
PIECE = 1_000
IDLE = 310
EVENTS = 300
ANSWER_TIMEOUT = 30

HOST = b"host: model\r\nauthorization: Bearer sk-patient\r\n"


async def slow_body(port, scale):
    size, start = int(BODY * scale), time.monotonic()
    body = b"{}".ljust(size)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.2.1", 0))
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n" % (HOST, size))
    for sent in range(0, size, PIECE):
        writer.write(body[sent : sent + PIECE])
        await asyncio.sleep(start + (sent + PIECE) / RATE - time.monotonic())
        if reader.at_eof() or writer.is_closing():
            break
    return await answered(reader)


async def idle_between_requests(port, scale):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.2.2", 0))
    request = b"GET /v1/models HTTP/1.1\r\n%b\r\n" % HOST
    for pause in (IDLE * scale, 0):
        writer.write(request)
        if (outcome := await answered(reader)) != "200":
            return outcome
        length = len(b'{"object":"chat.completion","choices":[{"message":{"role":"assistant","content":"Low tide."}}]}')
        await reader.readexactly(length)
        await asyncio.sleep(pause)
    return outcome


async def events(port, scale):
    count = int(EVENTS * scale)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.2.3", 0))
    writer.write(b"GET /v1/files/events?%d HTTP/1.1\r\n%b\r\n" % (count, HOST))
    outcome = await answered(reader)
    received = (await reader.readuntil(b"\r\n0\r\n\r\n")).count(b"data: ")
    return outcome if received == count else f"cut after {received} of {count} events"


async def answered(reader):
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_TIMEOUT)
    return head[9:12].decode()


async def outcome_of(trial):
    try:
        return await trial
    except (TimeoutError, asyncio.IncompleteReadError, OSError) as error:
        return f"cut ({type(error).__name__})"


async def main():
    port, scale = int(sys.argv[1]), float(sys.argv[2])
    trials = {
        f"a body of {BODY * scale / 1000:.0f} KB at {RATE / 1000:.0f} KB/s": slow_body,
        f"a connection idle for {IDLE * scale:.0f} s between two requests": idle_between_requests,
        f"a stream of events for {EVENTS * scale:.0f} s": events,
    }
    outcomes = await asyncio.gather(*(outcome_of(trial(port, scale)) for trial in trials.values()))
    json.dump(dict(zip(trials, outcomes)), sys.stdout)


if __name__ == "__main__":
    asyncio.run(main())
