"""WebSocket frames, client side, as lean as it gets (RFC 6455).

What the service sends is not masked; what a client sends is masked with zeros, which costs nothing and is as valid as
any other mask. A frame of the service begins with its type: `{"type":"messages",…`; only its first bytes are looked at
where that is enough.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from pushpull.bench.prose import Prose

TEXT: Final = 0x81
DEFLATED: Final = 0xC1
CLOSE: Final = 0x88
MASK: Final = 0x80
ZEROS: Final = bytes(4)
SHORT_MAX: Final = 125
MEDIUM: Final = 126
MEDIUM_MAX: Final = 65_535
LONG: Final = 127

HEAD_BYTES: Final = 512
"""How much of a `messages` frame is enough to know which one it is: two ids, and a cid of at most 128 characters."""
HEAD: Final = re.compile(rb'\{"type":"messages","cid":"([^"]+)","after":(\d+),"upto":(\d+),"upto_id":"([^"]+)"')
TAIL_HEAD: Final = re.compile(rb'"head":(\d+),"floor":\d+(?:,"redelivery":\d+)?\}$')
NOTICE: Final = re.compile(rb'\{"type":"notice","cid":"([^"]+)","head":(\d+)')
STAMP: Final = re.compile(rb'"body":"@(\d+)')
CMID: Final = re.compile(rb'"cmid":"([^"]+)"')

EVERYWHERE: Final = ""
"""What a device looks at that never says `focus`: it comes for whatever it is notified of."""

KIND: Final = slice(9, 13)
"""Where in a frame the first four letters of its type are."""


def upgrade(host: str, port: int, *, deflate: bool = False) -> bytes:
    """The request that opens a WebSocket. The key is the same for all: nothing here caches."""
    key = base64.b64encode(bytes(16)).decode()
    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n" if deflate else ""
    return (
        f"GET /v1/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: pushpull.v1\r\n"
        f"{offer}\r\n"
    ).encode()


def hello(token: str, name: str, looks_at: str | None, at: Mapping[bytes, tuple[int, str]]) -> bytes:
    """What a device says first, who stands at `at` (cid → position)."""
    said: dict[str, Any] = {"type": "hello", "token": token, "device": name, "unnamed": "head"}
    if looks_at != EVERYWHERE:
        said["focus"] = looks_at
    if at:
        said["positions"] = {cid.decode(): position[1] for cid, position in at.items()}
    return orjson.dumps(said)


def masked(payload: bytes) -> bytes:
    """A text frame from a client."""
    size = len(payload)
    if size <= SHORT_MAX:
        return bytes((TEXT, MASK | size)) + ZEROS + payload
    if size <= MEDIUM_MAX:
        return bytes((TEXT, MASK | MEDIUM)) + size.to_bytes(2, "big") + ZEROS + payload
    return bytes((TEXT, MASK | LONG)) + size.to_bytes(8, "big") + ZEROS + payload


def unmasked(payload: bytes) -> bytes:
    """A text frame from the service: for the floor, which sends the same bytes."""
    size = len(payload)
    if size <= SHORT_MAX:
        return bytes((TEXT, size)) + payload
    if size <= MEDIUM_MAX:
        return bytes((TEXT, MEDIUM)) + size.to_bytes(2, "big") + payload
    return bytes((TEXT, LONG)) + size.to_bytes(8, "big") + payload


def payload_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the payload of the frame at `at` begins, and its size; None: the frame's header is not all here."""
    if len(data) - at < 2:
        return None
    size = data[at + 1]
    if size < MEDIUM:
        return at + 2, size
    if size == MEDIUM:
        return (at + 4, int.from_bytes(data[at + 2 : at + 4], "big")) if len(data) - at >= 4 else None
    return (at + 10, int.from_bytes(data[at + 2 : at + 10], "big")) if len(data) - at >= 10 else None


def inflated(payload: bytes) -> bytes:
    """A message that was compressed without any before it (RFC 7692), as the service's are."""
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + b"\x00\x00\xff\xff")


_prose = Prose()


def body(stamp: int, size: int) -> bytes:
    """A message's body of `size` bytes (a JSON string) that says when it was sent, in ticks."""
    return b'"@%d%b"' % (stamp, _prose.take(max(0, size - 3 - len(str(stamp)))))


def messages_frame(cid: bytes, seq: int, stamp: int, size: int) -> bytes:
    """The bytes on the wire of a pushed message, as the service writes them: for the floor."""
    item = (
        b'{"id":"%d-1823456789012345678","seq":%d,"ts":1780000000000,"from":"u-%d","cmid":"%d-%d","kind":"message",'
        % ((seq, seq, seq % 10_000, stamp, seq))
    )
    return unmasked(
        b'{"type":"messages","cid":"%b","after":%d,"upto":%d,"upto_id":"%d-1823456789012345678","items":[%b"body":%b}],'
        b'"head":%d,"floor":1}' % (cid, seq - 1, seq, seq, item, body(stamp, size), seq)
    )
