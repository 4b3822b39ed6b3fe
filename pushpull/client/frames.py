"""What the service says over the WebSocket, as frozen values; and what a device says, as dicts.

Reading is lenient, as the contract asks: an unknown frame type gives None, unknown fields are skipped, unknown
kinds, reasons, changes and modes stay plain strings. Only what is not a frame at all raises.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from pushpull.errors import BadRequest, Invalid, TooLarge

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""The largest frame taken in: a page (256 KiB by default) and room for services that were given larger pages."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all frames; `rid` is what the request carried, where the answer was made for it alone."""

    rid: str | int | None = None


class EditMark(msgspec.Struct, frozen=True):
    """The edit whose body an item carries."""

    seq: int
    ts: int


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One message inside `messages` or `history`."""

    id: str
    seq: int
    ts: int
    cmid: str
    kind: str
    body: Any
    sender: str | None = msgspec.field(default=None, name="from")
    quiet: bool = False
    mentions: tuple[str, ...] = ()
    ref: int | None = None
    edited: EditMark | None = None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation as this user and device see it; what an older service leaves out gets a neutral value."""

    cid: str
    start: str
    epoch: str = ""
    head: int = 0
    floor: int = 1
    delivered: int = 0
    read: int = 0
    joined: int = 0
    unread: int = 0
    count: int = 0
    mentions: int = 0
    mode: str = "notify"  # when in doubt the device pulls
    notify: str = "all"
    mute_until: int | None = None
    role: str = "member"
    data: Any = None


class AckRule(msgspec.Struct, frozen=True):
    """How long and for how many messages an ack may wait."""

    delay_ms: float = 200
    max: int = 32


class Welcome(Incoming, frozen=True, kw_only=True):
    session: str
    user: str
    device: str = ""
    node: str = ""
    time: float = 0
    heartbeat_s: float = 25
    expires_at: float | None = None
    features: Any = None
    ack: AckRule = AckRule()
    limits: dict[str, Any] = {}


class Sync(Incoming, frozen=True, kw_only=True):
    conversations: tuple[Row, ...]
    next: str | None = None


class Messages(Incoming, frozen=True, kw_only=True):
    """Every message with after < seq <= upto; one missing inside was redacted."""

    cid: str
    after: int
    upto: int
    upto_id: str
    items: tuple[Item, ...]
    head: int
    floor: int = 1
    redelivery: int = 0


class History(Incoming, frozen=True, kw_only=True):
    cid: str
    items: tuple[Item, ...]
    before: int | None = None
    floor: int = 1
    more: bool = False


class Notice(Incoming, frozen=True, kw_only=True):
    cid: str
    head: int
    count: int | None = None
    mentioned: bool = False


class Stored(Incoming, frozen=True, kw_only=True):
    """`sent`: the service has the message."""

    cid: str
    cmid: str
    id: str
    dup: bool = False


class Cursors(Incoming, frozen=True, kw_only=True):
    cid: str
    delivered: int
    read: int
    unread: int
    count: int


class Receipt(Incoming, frozen=True, kw_only=True):
    cid: str
    user: str
    delivered: int | None = None
    read: int | None = None


class Signal(Incoming, frozen=True, kw_only=True):
    cid: str
    body: Any = None
    sender: str | None = msgspec.field(default=None, name="from")


class Reset(Incoming, frozen=True, kw_only=True):
    cid: str
    reason: str
    pos: str
    epoch: str = ""
    head: int = 0
    floor: int = 1


class Change(Incoming, frozen=True, kw_only=True):
    """`conversation`: joined, left, updated, deleted."""

    cid: str
    change: str
    row: Row | None = None


class Refusal(Incoming, frozen=True, kw_only=True):
    """`error`: about one frame; the session lives on."""

    code: str
    message: str = ""
    temporary: bool = False
    cid: str | None = None
    cmid: str | None = None
    retry_after_ms: float | None = None


class Drain(Incoming, frozen=True, kw_only=True):
    after_ms: float = 0
    jitter_ms: float = 0


class Ping(Incoming, frozen=True, kw_only=True):
    t: Any = None


class Pong(Incoming, frozen=True, kw_only=True):
    t: Any = None


class _Typed(msgspec.Struct):
    type: str


_TYPES: Final[dict[str, type[Incoming]]] = {
    "welcome": Welcome,
    "sync": Sync,
    "messages": Messages,
    "history": History,
    "notice": Notice,
    "sent": Stored,
    "cursors": Cursors,
    "receipt": Receipt,
    "signal": Signal,
    "reset": Reset,
    "conversation": Change,
    "error": Refusal,
    "drain": Drain,
    "ping": Ping,
    "pong": Pong,
}
_typed = msgspec.json.Decoder(_Typed)
_decoders: Final = {name: msgspec.json.Decoder(struct) for name, struct in _TYPES.items()}


def parse(text: str | bytes) -> Incoming | None:
    """Read one frame; None for a type this client does not know. Raises BadRequest for what is not a frame."""
    try:
        decoder = _decoders.get(_typed.decode(text).type)
        return decoder.decode(text) if decoder is not None else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the service sent what is not a frame: {error}") from error


def encode(frame: dict[str, Any]) -> str:
    """One frame as the text that goes out."""
    return msgspec.json.encode(frame).decode()


def encode_body(body: Any, *, limit_bytes: int | None = None) -> msgspec.Raw:
    """`body` as the JSON that is sent on every attempt, the same bytes each time.

    Raises Invalid for what JSON cannot hold (NaN, infinities, lone surrogates, foreign types) and TooLarge past
    `limit_bytes`. The fast encoders write NaN as null without a word, hence the one of the standard library.
    """
    try:
        raw = json.dumps(body, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise Invalid(f"the body is not JSON: {type(error).__name__}, expected plain values without NaN") from error
    if limit_bytes is not None and len(raw) > limit_bytes:
        raise TooLarge(f"the body has {len(raw)} bytes, expected at most {limit_bytes}")
    return msgspec.Raw(raw)
