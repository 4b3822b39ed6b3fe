"""permessage-deflate (RFC 7692) in the one form that is cheap for many: no message leans on one before it.

Theory of operation. Without context takeover a message compresses to the same bytes for everyone, so a frame that is
shared is compressed once, and no connection keeps a compressor (300 KB with the usual libraries) or an inflater. We
answer `server_no_context_takeover; client_no_context_takeover` to any offer that allows it. RFC 7692 lets each message
go compressed or not: only shared frames of `server.deflate_min_bytes` or more are, and of these the first receivers
still get the plain one, as compressing a page costs as much as writing it to some ten sockets and more.

What one receiver alone gets (`write`) is never compressed. That is also why no secret shares a message with bytes
that somebody else may choose: what is compressed here is what all members of a conversation get.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Final

from pushpull.errors import BadRequest, TooLarge
from pushpull.web.outlet import Framer, framed

FIN_TEXT_RSV1: Final = 0xC1
LEVEL: Final = 1
"""Level 6 makes 50 messages 8 % smaller and takes four times as long (222 µs against 53)."""
WINDOW_BITS: Final = 15
PLAIN_MAX: Final = 8
"""Receivers that a shared frame goes to before it is worth compressing: more come for a page of a crowd, fewer for one
of a single device's backlog. Compressing 50 messages takes 53 µs, answering a pull of them about 60."""
KEPT_MAX: Final = 16
"""Large frames that are remembered; past it the one that came first is forgotten, and plain again for a few."""
FLUSHED: Final = b"\x00\x00\xff\xff"
"""Ends every flush of zlib; left out on the wire (RFC 7692, 7.2.1)."""
AFTER_FINAL: Final = (FLUSHED, b"\x00" + FLUSHED)
"""What may stand behind a final block: the flush we added, after the empty header that a sender may add (7.2.3.4)."""
NAME: Final = "permessage-deflate"
ANSWER: Final = f"{NAME}; server_no_context_takeover; client_no_context_takeover"
BITS: Final = frozenset(map(str, range(8, WINDOW_BITS + 1)))


def agreed(offers: Iterable[str]) -> str | None:
    """The `Sec-WebSocket-Extensions` to answer to these of a client, or None: nothing there that we can do.

    The first offer that fits is taken. One that wants a smaller window from us does not: the frame is the same for all.
    """
    for offer in ",".join(offers).split(","):
        name, *parameters = (part.strip() for part in offer.split(";"))
        if name == NAME:
            answer = _answer(parameters)
            if answer is not None:
                return answer
    return None


def _answer(parameters: list[str]) -> str | None:
    """The answer to one offer with these parameters; None declines it (7.1: also for one that is malformed)."""
    names, answer = set(), ANSWER
    for parameter in parameters:
        name, is_set, quoted = (part.strip() for part in parameter.partition("="))
        value = quoted.strip('"') if is_set else None
        if name in names or value not in _ALLOWED.get(name, ()):
            return None
        names.add(name)
        if name == "server_max_window_bits":
            answer += f"; server_max_window_bits={WINDOW_BITS}"
    return answer


_ALLOWED: Final[dict[str, frozenset[str | None]]] = {
    "server_no_context_takeover": frozenset((None,)),
    "client_no_context_takeover": frozenset((None,)),
    "server_max_window_bits": frozenset((str(WINDOW_BITS),)),
    "client_max_window_bits": frozenset((None, *BITS)),  # whatever it keeps to, we can read
}
"""Parameter → the values with which we accept it; None: it has no value."""


def deflated(data: bytes) -> bytes:
    """`data` compressed by itself, as the payload of a message."""
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW_BITS)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)).removesuffix(FLUSHED)


def inflated(payload: bytes, most: int) -> bytes:
    """The message that was compressed by itself to `payload`.

    Raises TooLarge where it is over `most` bytes, without inflating more than one byte more; BadRequest where it is
    not deflate.
    """
    inflater = zlib.decompressobj(-WINDOW_BITS)
    try:
        data = inflater.decompress(payload + FLUSHED, most + 1)
    except zlib.error:
        raise BadRequest("a compressed message that cannot be inflated") from None
    if len(data) > most:
        raise TooLarge(f"a message of over {most} bytes when inflated")
    if inflater.eof and inflater.unused_data not in AFTER_FINAL:
        raise BadRequest("a compressed message that goes on after its final block")
    return data


class _Shared:
    """A large frame, and how many have taken it. `frame`: as it goes to the next one."""

    __slots__ = ("data", "frame", "taken")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.frame = framed(data)
        self.taken = 0


class DeflatingFramer(Framer):
    """The frames that were shared last, as they go to those who can inflate; one for all of a node."""

    __slots__ = ("_least", "_shared")

    deflates = True

    def __init__(self, least: int) -> None:
        """`least`: bytes from which on a frame is compressed."""
        super().__init__()
        self._least = least
        self._shared: dict[int, _Shared] = {}  # by the id of `data`, which stays its own while it is held here

    def take(self, data: bytes) -> bytes:
        if len(data) < self._least:
            return super().take(data)
        shared = self._shared.get(id(data)) or self._remember(data)
        shared.taken += 1
        if shared.taken <= PLAIN_MAX:
            return shared.frame
        if shared.taken == PLAIN_MAX + 1:
            small = deflated(data)
            if len(small) < len(data):
                shared.frame = framed(small, FIN_TEXT_RSV1)
        self.data, self.frame = data, shared.frame
        return self.frame

    def _remember(self, data: bytes) -> _Shared:
        if len(self._shared) >= KEPT_MAX:
            del self._shared[next(iter(self._shared))]
        shared = self._shared[id(data)] = _Shared(data)
        return shared


class Framers:
    """How shared frames go out: as they are, and compressed for those with whom that was agreed."""

    def __init__(self, deflate_min_bytes: int) -> None:
        """`deflate_min_bytes`: as in the settings; 0 agrees with nobody."""
        self.plain = Framer()
        self.deflating = DeflatingFramer(deflate_min_bytes) if deflate_min_bytes else None
