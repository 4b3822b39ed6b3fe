"""A line that is read slowly, on a real socket."""

from __future__ import annotations

import asyncio
import time

import pytest

from pushpull.bench.trickle import Trickle

PLENTY = 1_000_000


class Receiver:
    """Keeps how much came, and when the last of it."""

    def __init__(self) -> None:
        self.size = 0
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.size += len(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(None)


async def test_it_reads_no_more_than_it_may_and_all_there_is_when_told_so() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(b"x" * PLENTY)

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    async with server:
        receiver = Receiver()
        line = Trickle(receiver)
        line.read_at(10_240.0)
        began = time.monotonic()
        await line.dial("127.0.0.1", server.sockets[0].getsockname()[1])
        await asyncio.sleep(0.35)
        assert 0 < receiver.size <= 1_024 + 10_240 * (time.monotonic() - began)
        held = writers[0].transport
        assert isinstance(held, asyncio.WriteTransport)
        assert held.get_write_buffer_size() > PLENTY / 2, "the kernel took what it should not hide"

        line.read_at(0)
        writers[0].write_eof()
        await asyncio.wait_for(receiver.lost, 10)

        assert receiver.size == PLENTY
        writers[0].close()


async def test_one_that_cannot_connect_says_so() -> None:
    with pytest.raises(ConnectionRefusedError):
        await Trickle(Receiver()).dial("127.0.0.1", 1)
