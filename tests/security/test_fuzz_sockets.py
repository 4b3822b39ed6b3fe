"""Bytes that are no WebSocket, or a wrong one, over real sockets: a connection may end, the service must not notice."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import struct
from collections.abc import AsyncIterator, Callable

import pytest

from tests.e2e.conftest import ServeProcess
from tests.e2e.service import Service, ServiceProcess, token_of
from tests.e2e.wire import Wire

SEED = 4
ROUNDS = 120
"""Random connections for each path, on top of the known tricks: two seconds."""

TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
HELLO = b'{"type":"hello","device":"%s","token":"%s"}'


def frame(
    payload: bytes, opcode: int = TEXT, *, fin: bool = True, reserved: int = 0, masked: bool = True, size: int = -1
) -> bytes:
    """One WebSocket frame; `size` is what its header says, where that is not the truth."""
    size = len(payload) if size < 0 else size
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    flag = 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, flag | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, flag | 126, size)
    else:
        head = struct.pack("!BBQ", first, flag | 127, size)
    if not masked:
        return head + payload
    mask = b"\x11\x22\x33\x44"
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def hello(device: str) -> bytes:
    return frame(HELLO % (device.encode(), token_of("mallory").encode()))


UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n"
PING_FRAME = b'{"type":"ping"}'

TRICKS: dict[str, bytes] = {
    "bad opcode": frame(b"x", 3),
    "bad control opcode": frame(b"x", 11),
    "unmasked": frame(PING_FRAME, masked=False),
    "reserved bit 1": frame(PING_FRAME, reserved=4),
    "reserved bit 2": frame(PING_FRAME, reserved=2),
    "all reserved bits": frame(PING_FRAME, reserved=7),
    "binary": frame(PING_FRAME, BINARY),
    "continuation of nothing": frame(PING_FRAME, CONTINUED),
    "text amid fragments": frame(b"{", fin=False) + frame(PING_FRAME),
    "fragments without end": frame(b"{", fin=False) + frame(b" ", CONTINUED, fin=False) * 1_000,
    "empty fragments": frame(b"", fin=False) + frame(b"", CONTINUED, fin=False) * 1_000,
    "fragmented ping": frame(b"x", PING, fin=False),
    "large ping": frame(b"x" * 200, PING),
    "pongs": frame(b"x", PONG) * 1_000,
    "pings": frame(b"x" * 125, PING) * 2_000,
    "close without code": frame(b"", CLOSE),
    "close with half a code": frame(b"\x03", CLOSE),
    "close with a code that may not be": frame(struct.pack("!H", 1005), CLOSE),
    "close with a code of nobody": frame(struct.pack("!H", 65_535), CLOSE),
    "close with bad text": frame(struct.pack("!H", 1000) + b"\xff\xfe", CLOSE),
    "close twice": frame(struct.pack("!H", 1000), CLOSE) * 2 + frame(PING_FRAME),
    "bad UTF-8": frame(b"\xff\xfe"),
    "bad UTF-8 in fragments": frame(b"\xc3", fin=False) + frame(b"\x28", CONTINUED),
    "oversize": frame(b"x" * (2 << 20)),
    "oversize announced": frame(b"x", size=1 << 40),
    "size with the top bit": frame(b"x", size=(1 << 63) + 5),
    "truncated": frame(PING_FRAME)[:-3],
    "header alone": frame(PING_FRAME)[:1],
    "no frame": b"GET / HTTP/1.1\r\n\r\n",
    "zeros": b"\0" * 4_096,
    "compressed garbage": frame(b"\xff" * 50, reserved=4),
    "compressed bomb": frame(b"\xec\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\x0a" * 2_000, reserved=4),
}
"""What it is → the bytes after the upgrade."""


@contextlib.asynccontextmanager
async def connection(service: Service) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = service.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def say(service: Service, request: bytes, data: bytes = b"", *, listen_s: float = 0.02) -> None:
    """Connect, say this (`data` once the request is answered), hear a little of the answer, go without a word."""
    async with connection(service) as (reader, writer):
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            writer.write(request)
            if data:
                async with asyncio.timeout(2):
                    await reader.readuntil(b"\r\n\r\n")
                writer.write(data)
            async with asyncio.timeout(listen_s):
                await writer.drain()
                while await reader.read(1 << 16):
                    pass


def noise(dice: random.Random) -> tuple[bytes, bytes]:
    """A request and a connection's worth of frames that are mostly well made, with something wrong in most of them."""
    said = [hello(f"d{dice.randrange(3)}") if dice.random() < 0.6 else b""]
    for _ in range(dice.randrange(1, 8)):
        payload = dice.choice([PING_FRAME, dice.randbytes(dice.randrange(200)), b"{" * dice.randrange(400), b""])
        part = frame(
            payload,
            dice.choice([TEXT, TEXT, TEXT, CONTINUED, BINARY, PING, PONG, CLOSE, dice.randrange(16)]),
            fin=dice.random() < 0.8,
            reserved=dice.choice([0, 0, 0, dice.randrange(8)]),
            masked=dice.random() < 0.9,
            size=dice.choice([-1, -1, -1, -1, dice.randrange(1 << 20)]),
        )
        said.append(part[: dice.randrange(1, len(part))] if dice.random() < 0.1 else part)
    return UPGRADE + dice.choice([b"", OFFER]) + b"\r\n", b"".join(said)


@pytest.fixture(params=["direct", "asgi"])
def process(request: pytest.FixtureRequest, serve_process: ServeProcess) -> ServiceProcess:
    return serve_process(server__websocket=request.param, log__level="debug")


@pytest.fixture
async def service(process: ServiceProcess, talk: Callable[[ServiceProcess], Service]) -> Service:
    service = talk(process)
    await service.room("room", "bob", "alice")
    return service


async def still_serves(service: Service, process: ServiceProcess, bob: Wire, head: int) -> None:
    """Bob, connected all the time, gets a message as ever; the log has nothing for an operator to worry about."""
    await service.post("room", os.urandom(8).hex(), "still here")
    assert await bob.collect("room", head, after=head - 1)
    for alarm in ("Traceback", " WARNING ", " ERROR ", " CRITICAL ", "exception"):
        assert alarm not in process.output, process.output[-3_000:]


async def test_each_known_trick_ends_its_own_connection_at_most(service: Service, process: ServiceProcess) -> None:
    bob = await service.device("bob")

    for trick in TRICKS.values():
        for offer in (b"\r\n", OFFER + b"\r\n"):
            await say(service, UPGRADE + offer, trick)
            await say(service, UPGRADE + offer, hello("d") + trick)

    await still_serves(service, process, bob, head=1)


async def test_random_frames_end_their_own_connection_at_most(service: Service, process: ServiceProcess) -> None:
    bob = await service.device("bob")
    dice = random.Random(SEED)

    for _ in range(ROUNDS):
        await say(service, *noise(dice), listen_s=0.01)

    await still_serves(service, process, bob, head=1)


POST = b"POST /v1/messages HTTP/1.1\r\nHost: a\r\n"
REQUESTS: dict[str, bytes] = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 200 + b"\r\n\r\n",
    "no method": b" / HTTP/1.1\r\n\r\n",
    "no version": b"GET /healthz\r\n\r\n",
    "HTTP/9": b"GET /healthz HTTP/9.9\r\n\r\n",
    "raw bytes in the path": b"GET /v1/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
    "a host that is none": b"GET /v1/nothing HTTP/1.1\r\nHost: [\r\n\r\n",
    "raw bytes in headers": b"GET /v1/nodes HTTP/1.1\r\nX-API-Key: \xff\r\nAuthorization: Bearer \xff\r\n\r\n",
    "an origin that is none": UPGRADE + b"Origin: http://[\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "length and chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length that is none": POST + b"Content-Length: -1\r\n\r\n",
    "a chunk that is none": POST + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "half a body": POST + b"Content-Length: 500\r\n\r\n[",
    "upgrade to something else": b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "upgrade by POST": UPGRADE.replace(b"GET", b"POST") + b"\r\n",
    "upgrade without key": b"GET /v1/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "upgrade of version 12": UPGRADE.replace(b"13", b"12") + b"\r\n",
    "upgrade elsewhere": UPGRADE.replace(b"/v1/ws", b"/v1/nodes") + b"\r\n",
    "pipelined": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 50 + UPGRADE + b"\r\n" + frame(b"\xff"),
    "query of bytes": b"GET /v1/ws?token=%ff&token&&=&%00 HTTP/1.1\r\nHost: a\r\n"
    + UPGRADE.split(b"\r\n", 1)[1]
    + b"\r\n",
    "extensions of garbage": UPGRADE + b'Sec-WebSocket-Extensions: ;;,permessage-deflate;=;"\r\n\r\n',
    "subprotocols of garbage": UPGRADE + b"Sec-WebSocket-Protocol: ,,,\xff\r\n\r\n",
}


async def test_what_is_no_request_ends_its_own_connection_at_most(service: Service, process: ServiceProcess) -> None:
    bob = await service.device("bob")

    for request in REQUESTS.values():
        await say(service, request)

    await still_serves(service, process, bob, head=1)
