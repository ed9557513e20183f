"""A forwarder that lends the attack tools other addresses: each connection goes on from one of SOURCES, in turn.

The forwarder keeps next to nothing in between (small buffers and segments, and it reads no faster than it may write),
so that a client that reads slowly is one to Envoy too: with loopback's own 64 KiB segments, the kernel takes answers of
a MiB off Envoy's hands. `port` is the one to connect to; its own is printed.
"""

import asyncio
import itertools
import socket

from tests.lab.load import run

SOURCES = [f"127.0.0.{last}" for last in range(2, 52)]
BUFFER = 4096
SEGMENT = 536


class End(asyncio.Protocol):
    """One end of a pair of connections: the other end writes what this one reads."""

    def __init__(self):
        self.transport = None
        self.other = None

    def connection_made(self, transport):
        transport.set_write_buffer_limits(high=0)
        self.transport = transport

    def data_received(self, data):
        self.other.transport.write(data)

    def pause_writing(self):
        self.other.transport.pause_reading()

    def resume_writing(self):
        self.other.transport.resume_reading()

    def connection_lost(self, _):
        if self.other:
            self.other.transport.close()


class Arrival(End):
    def __init__(self, port, source):
        super().__init__()
        self._port = port
        self._source = source

    def connection_made(self, transport):
        super().connection_made(transport)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        transport.pause_reading()
        self._connecting = asyncio.create_task(self._connect())

    async def _connect(self):
        loop = asyncio.get_running_loop()
        onward = socket.socket()
        try:
            onward.setblocking(False)
            onward.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
            onward.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
            onward.bind((self._source, 0))
            await loop.sock_connect(onward, ("127.0.0.1", self._port))
            _, departure = await loop.create_connection(End, sock=onward)
        except OSError:
            onward.close()
            return self.transport.close()
        if self.transport.is_closing():
            return departure.transport.close()
        self.other, departure.other = departure, self
        self.transport.resume_reading()


async def main(port):
    sources = itertools.cycle(SOURCES)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Arrival(port, next(sources)), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    run(main)
