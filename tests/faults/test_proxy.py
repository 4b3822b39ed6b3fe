"""The bad line is tried first: each of its ways to be bad does what it says, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import Proxy
from tests.faults.resp import Swallow, end_of_reply

BELL = b"*3\r\n$8\r\nsmessage\r\n$11\r\n{c:a}b:bell\r\n$5\r\nr\r\nng\r\n"
PROBE = b"*3\r\n$8\r\nsmessage\r\n$7\r\nprobe:1\r\n$2\r\nhi\r\n"
CONFIRMED = b"*3\r\n$10\r\nssubscribe\r\n$11\r\n{c:a}b:bell\r\n:1\r\n"


class Echo:
    """Answers what it hears, in capitals."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while chunk := await reader.read(1000):
                self.heard += chunk
                writer.write(chunk.upper())
                await writer.drain()
            writer.write(b"BYE")
        except ConnectionError:
            pass
        finally:
            self.ended.set()
            writer.close()


@contextlib.asynccontextmanager
async def through_a_proxy() -> AsyncIterator[tuple[Proxy, Echo, asyncio.StreamReader, asyncio.StreamWriter]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    proxy = Proxy(("127.0.0.1", server.sockets[0].getsockname()[1]))
    await proxy.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        async with asyncio.timeout(5):
            yield proxy, echo, reader, writer
    finally:
        writer.close()
        await proxy.stop()
        server.close()


async def test_a_cut_is_seen_at_both_ends() -> None:
    async with through_a_proxy() as (proxy, echo, reader, _):
        proxy.cut()

        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await echo.ended.wait()


async def test_a_chunk_is_lost_with_its_line_and_the_one_before_it_is_not() -> None:
    async with through_a_proxy() as (proxy, echo, reader, writer):
        proxy.down.lose = lambda chunk: b"SECRET" in chunk
        writer.write(b"first")
        first = await reader.readexactly(5)
        writer.write(b"secret")

        await echo.ended.wait()

        assert (first, echo.heard, proxy.down.lost) == (b"FIRST", b"hellofirstsecret", 1)


async def test_the_answer_is_lost_after_the_request_has_passed() -> None:
    async with through_a_proxy() as (proxy, echo, _, writer):
        proxy.up.doom = lambda chunk: b"order" in chunk
        writer.write(b"order")

        await echo.ended.wait()

        assert (echo.heard, proxy.down.lost) == (b"helloorder", 1)


async def test_half_closed_towards_the_target_the_answer_still_comes() -> None:
    async with through_a_proxy() as (proxy, _, reader, _):
        proxy.half_close(towards_client=False)

        assert await reader.read(3) == b"BYE"


async def test_half_closed_towards_the_client_the_target_still_hears() -> None:
    async with through_a_proxy() as (proxy, echo, reader, writer):
        proxy.half_close(towards_client=True)
        assert await reader.read() == b""
        writer.write(b"more")
        while echo.heard != b"hellomore":
            await asyncio.sleep(0.001)


async def test_a_blocked_way_keeps_what_comes_until_it_heals() -> None:
    async with through_a_proxy() as (proxy, echo, reader, writer):
        proxy.up.block()
        writer.write(b"later")
        await asyncio.sleep(0.05)
        before = echo.heard
        proxy.heal()

        assert (before, await reader.readexactly(5)) == (b"hello", b"LATER")


async def test_a_throttled_way_takes_its_time() -> None:
    async with through_a_proxy() as (proxy, _, reader, writer):
        proxy.down.bytes_per_s = 1000
        began = time.monotonic()
        writer.write(b"x" * 200)
        await reader.readexactly(200)

        assert time.monotonic() - began >= 0.19


def test_bells_are_swallowed_wherever_a_read_ends_and_the_rest_passes_unharmed() -> None:
    stream = CONFIRMED + BELL + PROBE + b"+PONG\r\n" + BELL + b"$-1\r\n" + CONFIRMED
    for size in (1, 7, len(stream)):
        swallow = Swallow(lambda channel: channel.endswith(b":bell"))
        passed = b"".join(swallow(stream[at : at + size]) for at in range(0, len(stream), size))

        assert passed == CONFIRMED + PROBE + b"+PONG\r\n" + b"$-1\r\n" + CONFIRMED
        assert swallow.swallowed == 2


@pytest.mark.parametrize("part", [b"", b"*", b"*2\r\n:1\r\n", b"$3\r\nab", b"$3\r\nabc", b"*1\r\n$1\r\na"])
def test_a_reply_that_is_not_all_here_has_no_end(part: bytes) -> None:
    assert end_of_reply(part, 0) is None
