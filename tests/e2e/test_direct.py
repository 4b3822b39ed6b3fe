"""What the direct path leans on in picows and uvicorn, byte by byte: raw sockets, frames of our own making."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import orjson
import pytest

from pushpull.web.outlet import COPIED_BYTES, KEPT_BYTES
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(kind: int, payload: bytes, *, fin: bool = True) -> bytes:
    """One masked client frame (RFC 6455, 5.2)."""
    mask = os.urandom(4)
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | kind])
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    return head + mask + bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


def upgrade(*headers: str, path: str = "/v1/ws") -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass
class Raw:
    """A TCP connection that speaks just what the test says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: dict[str, str] = field(default_factory=dict)

    async def upgraded(self) -> str:
        """Read the answer to the upgrade; its status line."""
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in answer[1:] if line)}
        return answer[0]

    async def heard(self) -> tuple[int, bytes]:
        """The next frame: its kind and payload."""
        first, second = await self.reader.readexactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        return first & 0x0F, await self.reader.readexactly(size)

    async def hears(self, kind: str) -> dict[str, object]:
        """Read until a JSON frame of that type."""
        while True:
            opcode, payload = await self.heard()
            assert opcode == TEXT, (opcode, payload)
            frame_heard: dict[str, object] = orjson.loads(payload)
            if frame_heard["type"] == kind:
                return frame_heard

    def say(self, data: bytes) -> None:
        self.writer.write(data)


pytestmark = pytest.mark.parametrize("serve", ["direct"], indirect=True)


@pytest.fixture
async def service(serve: Serve) -> LocalService:
    return await serve(limits={"buffer_bytes": 131_072, "frame_bytes": 131_072})


Connect = Callable[[], Awaitable[Raw]]


@pytest.fixture
async def connected(service: LocalService) -> AsyncIterator[Connect]:
    """A TCP connection to the service, on which nothing was said."""
    opened: list[Raw] = []

    async def connect() -> Raw:
        host, port = service.url.removeprefix("http://").split(":")
        opened.append(Raw(*await asyncio.open_connection(host, int(port))))
        return opened[-1]

    yield connect
    for raw in opened:
        raw.writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await raw.writer.wait_closed()


def hello(device: str = "d") -> bytes:
    return orjson.dumps({"type": "hello", "token": token_of("alice"), "device": device})


async def test_frames_that_come_with_the_upgrade_in_one_piece_are_not_lost(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade("Sec-WebSocket-Protocol: other, pushpull.v1"))
    assert await raw.upgraded() == "HTTP/1.1 101 Switching Protocols"
    assert raw.headers["sec-websocket-protocol"] == "pushpull.v1"
    raw.say(frame(TEXT, hello()) + frame(TEXT, b'{"type":"ping","t":1}') + frame(TEXT, b'{"type":"ping","t":2}'))
    assert (await raw.hears("welcome"))["user"] == "alice"
    assert [(await raw.hears("pong"))["t"] for _ in range(2)] == [1, 2]


async def test_frames_of_every_size_arrive_as_they_were_written(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, hello()))
    await raw.hears("sync")
    around_the_answer = len('{"type":"pong","t":""}')
    for size in (100, KEPT_BYTES, KEPT_BYTES + 1, 5_000, COPIED_BYTES, COPIED_BYTES + 1, 70_000):
        text = ("abc" * size)[: size - around_the_answer]
        raw.say(frame(TEXT, orjson.dumps({"type": "ping", "t": text})))
        opcode, payload = await raw.heard()
        assert (opcode, len(payload), orjson.loads(payload)["t"]) == (TEXT, size, text)


async def test_a_message_in_fragments_is_one_frame_with_a_ping_in_between(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    assert "sec-websocket-protocol" not in raw.headers
    text = hello()
    raw.say(frame(TEXT, text[:10], fin=False) + frame(PING, b"are you there"))
    raw.say(frame(CONTINUATION, text[10:20], fin=False) + frame(CONTINUATION, text[20:]))
    assert await raw.heard() == (PONG, b"are you there")
    assert (await raw.hears("welcome"))["device"] == "d"


async def test_fragments_without_end_are_bounded(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, b" " * 60_000, fin=False))
    for _ in range(20):
        raw.say(frame(CONTINUATION, b" " * 60_000, fin=False))
    assert await closed(raw) == 4413


async def test_a_message_in_very_many_fragments_is_refused(connected: Connect) -> None:
    """Each would cost more than the last: 150,000 of a byte used to stop the service for half a minute."""
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"", fin=False) * 300)
    assert await closed(raw) == 4400


async def test_a_frame_split_over_many_packets_is_put_together(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    for byte in frame(TEXT, hello()):
        raw.say(bytes([byte]))
        await raw.writer.drain()
    assert (await raw.hears("welcome"))["user"] == "alice"


async def test_a_close_code_of_ours_and_its_reason_reach_the_peer(connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, b'{"type":"hello","token":"nonsense","device":"d"}'))
    opcode, payload = await raw.heard()
    assert (opcode, payload) == (CLOSE, struct.pack("!H", 4401) + b"token_invalid")
    raw.say(frame(CLOSE, payload))
    assert await raw.reader.read() == b""


async def test_the_peers_close_is_answered_and_ends_the_session(service: LocalService, connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, hello()))
    await raw.hears("welcome")
    assert len(service.node.parts.peers) == 1
    raw.say(frame(CLOSE, struct.pack("!H", 1000)))
    assert await closed(raw) == 1000
    assert await raw.reader.read() == b""
    assert len(service.node.parts.peers.connected) == 0


async def test_a_connection_that_breaks_ends_the_session(service: LocalService, connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, hello()))
    await raw.hears("welcome")
    raw.writer.transport.abort()
    await asyncio.wait_for(service.node.parts.peers.empty.wait(), 5)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (upgrade("Origin: https://elsewhere.example"), "403"),
        (upgrade(path="/v1/other"), "404"),
        (upgrade("Sec-WebSocket-Key: x", "X-Long: " + "x" * 20_000), ""),
    ],
)
async def test_a_wrong_upgrade_is_refused(
    service: LocalService, connected: Connect, request_bytes: bytes, status: str
) -> None:
    raw = await connected()
    raw.say(request_bytes)
    answer = await raw.reader.read()
    assert answer.split(b" ")[1].decode() == status if status else b" 101 " not in answer
    assert not service.node.parts.peers.connected


async def test_one_who_never_reads_is_ended_and_what_waits_is_bounded(
    service: LocalService, connected: Connect
) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, hello()))
    await raw.hears("welcome")
    raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
    pings = frame(TEXT, b'{"type":"ping","t":"' + b"x" * 60_000 + b'"}')
    peer = next(iter(service.node.parts.peers))
    most = 0
    for _ in range(400):
        raw.say(pings)
        await asyncio.sleep(0)
        most = max(most, peer.session.connection.buffered)
        if service.node.parts.peers.empty.is_set():
            break
    await asyncio.wait_for(service.node.parts.peers.empty.wait(), 10)
    assert most < 5 * 131_072


async def test_one_who_pings_and_never_reads_is_ended_too(service: LocalService, connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.reader._transport.pause_reading()  # type: ignore[attr-defined]
    pings = frame(PING, b"p" * 125) * 1_000
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            raw.say(pings)
            await raw.writer.drain()
            if service.node.parts.peers.empty.is_set():
                break
    await asyncio.wait_for(service.node.parts.peers.empty.wait(), 5)


async def test_uvicorn_stops_and_everyone_is_told(service: LocalService, connected: Connect) -> None:
    raw = await connected()
    raw.say(upgrade())
    await raw.upgraded()
    raw.say(frame(TEXT, hello()))
    await raw.hears("welcome")
    await service.node.drain()
    assert (await raw.hears("drain"))["jitter_ms"]
    assert await closed(raw) == 1012


async def closed(raw: Raw) -> int:
    """The code of the close frame that comes next among others."""
    while True:
        opcode, payload = await raw.heard()
        if opcode == CLOSE:
            code: int = struct.unpack("!H", payload[:2])[0]
            return code
