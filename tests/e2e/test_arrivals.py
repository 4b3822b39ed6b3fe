"""Whoever opens connections and says little, slowly or too much; and crowds that connect at once. On both paths."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import InvalidStatus

from pushpull.web import arrivals, bodies
from tests.e2e.conftest import Serve
from tests.e2e.service import API_KEY, LocalService, token_of

SEND = f"POST /v1/conversations/room/messages HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"


class Raw:
    """A connection that says bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def say(self, text: str | bytes) -> None:
        self._writer.write(text.encode() if isinstance(text, str) else text)
        await self._writer.drain()

    async def rest(self, within: float = 5.0) -> bytes:
        """Everything until the other side ends the connection."""
        async with asyncio.timeout(within):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def status(self, within: float = 5.0) -> int:
        """Of the next answer."""
        async with asyncio.timeout(within):
            header = await self._reader.readuntil(b"\r\n\r\n")
        return int(header.split(b" ")[1])

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@asynccontextmanager
async def raw(service: LocalService) -> AsyncIterator[Raw]:
    parts = urlsplit(service.url)
    assert parts.hostname is not None
    connection = Raw(*await asyncio.open_connection(parts.hostname, parts.port))
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers, bodies and answers have a fraction of a second."""
    for name, value in (("HEADER_S", 0.2), ("BODY_S", 0.6), ("SWEEP_S", 0.05)):
        monkeypatch.setattr(arrivals, name, value)
    monkeypatch.setattr(bodies, "READ_TIMEOUT_S", 0.2)


async def test_what_read_an_upgrade_is_gone_without_the_collector(service: LocalService) -> None:
    def readers() -> int:
        return sum(type(each) is arrivals.HttpProtocol for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = readers()
        devices = [await service.device(f"u{n}") for n in range(3)]
        assert len(devices) == 3
        assert readers() <= before
    finally:
        gc.enable()


@pytest.mark.parametrize("said", ["", "GET /healthz HT", "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_header_that_does_not_come_in_time_ends_the_connection(
    service: LocalService, impatient: None, said: str
) -> None:
    async with raw(service) as slow:
        await slow.say(said)

        assert await slow.rest() == b""


async def test_a_header_that_dribbles_ends_the_connection(service: LocalService, impatient: None) -> None:
    async with raw(service) as slow:
        await slow.say("GET /healthz HTTP/1.1\r\nX-Slow: ")
        dribbling = asyncio.create_task(slow.rest())
        while not dribbling.done():
            with contextlib.suppress(ConnectionError):
                await slow.say("x")
            await asyncio.sleep(0.02)

        assert dribbling.result() == b""


async def test_the_second_request_of_a_connection_has_to_come_in_time_too(
    service: LocalService, impatient: None
) -> None:
    async with raw(service) as slow:
        await slow.say("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await slow.status() == 200
        await asyncio.sleep(0.4)  # idle for longer than a header may take
        await slow.say("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await _until_ended(slow, "GET /heal")


async def _until_ended(slow: Raw, said: str) -> bytes:
    await asyncio.sleep(0.05)
    await slow.say(said)
    return await slow.rest()


async def test_a_header_that_is_too_large_is_refused(service: LocalService) -> None:
    async with raw(service) as large:
        await large.say("GET /healthz HTTP/1.1\r\nX-Large: ")
        for _ in range(5):
            await large.say("x" * 10_000)
            await asyncio.sleep(0.01)

        assert b" 431 " in await large.rest()


async def test_a_body_that_dribbles_is_answered_and_ended(service: LocalService, impatient: None) -> None:
    async with raw(service) as slow:
        await slow.say(SEND + "Content-Length: 100\r\n\r\n{")

        assert await slow.status() == 400
        assert b"did not come within" in await slow.rest()


async def test_a_chunked_body_without_end_is_refused_as_soon_as_it_is_too_large(
    service: LocalService, impatient: None
) -> None:
    async with raw(service) as endless:
        await endless.say(SEND + "Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
        for _ in range(20):
            await endless.say(chunk)

        assert await endless.status() == 413
        assert b"over the limit" in await endless.rest()


async def test_calls_go_on_however_many_connections_say_nothing(serve: Serve) -> None:
    service = await serve(limits={"handshakes": 20, "http_connections": 20})
    async with AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(raw(service)) for _ in range(40)]
        last = await stack.enter_async_context(raw(service))
        await last.say("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")

        assert await last.status() == 200
        assert await silent[0].rest() == b""


async def test_past_the_rate_of_connects_an_upgrade_is_refused_before_it_is_made(serve: Serve) -> None:
    service = await serve(limits={"connects_per_s": 0.01})
    await service.device("alice")

    with pytest.raises(InvalidStatus) as refused:
        await service.wire()

    assert refused.value.response.status_code == 503
    assert int(refused.value.response.headers["Retry-After"]) > 0
    assert (await service.anybody().get("/healthz")).status_code == 200


async def test_past_the_handshakes_an_upgrade_is_refused_until_one_is_through(serve: Serve) -> None:
    service = await serve(limits={"handshakes": 2})
    first, second = await service.wire(), await service.wire()
    assert service.node.parts.peers.connected

    with pytest.raises(InvalidStatus) as refused:
        await service.wire()
    assert refused.value.response.status_code == 503
    assert (await service.anybody().get("/healthz")).status_code == 200
    await first.greet(token=token_of("alice"))

    await service.wire()
    await second.say("ping")
    assert (await second.closed())[0] == 4400
