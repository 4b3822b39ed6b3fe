"""What a client may say: parse and check.

One JSON text becomes one of the structs below, or BadFrame: which says what was wrong and carries what of `rid`, `cid`
and `cmid` could still be read, so that the answer can name the frame it is about.
"""

from __future__ import annotations

import json
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pushpull.delivery.drafts import DraftFields, Exact
from pushpull.errors import BadRequest, PushpullError, Unsupported, lowered
from pushpull.model import EXACT_MAX

PULL_MAX: Final = 500
RECEIPTS: Final = "receipts"  # among the features of a hello: tell me how far the others are
FEATURES: Final = ("focus", RECEIPTS)

Rid = str | Exact | None


class Hello(msgspec.Struct, tag_field="type", tag="hello", kw_only=True):
    """Opens a session. `positions` says where this device stands, by cid; `unnamed` where to begin in the others."""

    device: str
    token: str | None = None
    client: str = ""
    features: list[str] = []
    positions: dict[str, str] = {}
    unnamed: Literal["delivered", "all", "head"] = "delivered"
    max_backlog: Exact | None = None
    focus: str | UnsetType | None = UNSET  # None says that nothing is on the screen, silence says nothing
    active: bool = True
    rid: Rid = None


class Auth(msgspec.Struct, tag_field="type", tag="auth", kw_only=True):
    """A fresh token of the same user, before the one in use expires."""

    token: str
    rid: Rid = None


class Send(DraftFields, tag_field="type", tag="send", kw_only=True):
    """Append one message. The same `cmid` with the same content again is stored once."""

    cid: str
    rid: Rid = None


class Ack(msgspec.Struct, tag_field="type", tag="ack", kw_only=True):
    """This device has stored everything up to these seqs, by cid."""

    acks: dict[str, Exact]
    rid: Rid = None


class Read(msgspec.Struct, tag_field="type", tag="read", kw_only=True):
    """The user has read up to `seq`."""

    cid: str
    seq: Exact
    rid: Rid = None


class Pull(msgspec.Struct, tag_field="type", tag="pull", kw_only=True):
    """A page: forward from `after`, or backward from `before`; neither: the newest page."""

    cid: str
    after: Exact | None = None
    before: Exact | None = None
    limit: Exact | None = None
    rid: Rid = None


class Signal(msgspec.Struct, tag_field="type", tag="signal", kw_only=True):
    """Something passing, told to the members who are connected now; never stored."""

    cid: str
    body: msgspec.Raw
    rid: Rid = None


class Sync(msgspec.Struct, tag_field="type", tag="sync", kw_only=True):
    """The next page of the conversation list."""

    after: str | None = None
    rid: Rid = None


class Focus(msgspec.Struct, tag_field="type", tag="focus", kw_only=True):
    """What is on the screen; `active` false: the app is in the background."""

    cid: str | None
    active: bool = True
    rid: Rid = None


class Ping(msgspec.Struct, tag_field="type", tag="ping", kw_only=True):
    """Is somebody there? Answered by `pong` with the same `t`."""

    t: Exact | float | str | None = None
    rid: Rid = None


class Pong(msgspec.Struct, tag_field="type", tag="pong", kw_only=True):
    """The answer to a `ping`, with its `t`."""

    t: Exact | float | str | None = None
    rid: Rid = None


ClientFrame = Hello | Auth | Send | Ack | Read | Pull | Focus | Signal | Sync | Ping | Pong

KNOWN_TYPES: Final = frozenset(
    {"hello", "auth", "send", "ack", "read", "pull", "focus", "signal", "sync", "ping", "pong"}
)

_decoder: Final[msgspec.json.Decoder[ClientFrame]] = msgspec.json.Decoder(ClientFrame)


class BadFrame(Exception):
    """A frame that could not be taken: the error to answer, and what was read of the frame's own names."""

    def __init__(self, error: PushpullError, *, rid: Rid = None, cid: str | None = None, cmid: str | None = None):
        super().__init__(error.message)
        self.error = error
        self.rid = rid
        self.cid = cid
        self.cmid = cmid


def parse(text: str | bytes) -> ClientFrame:
    """Return the frame, or raise BadFrame with BadRequest (no JSON, wrong types) or Unsupported (an unknown type)."""
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise _diagnose(text, problem) from None


def _diagnose(text: str | bytes, problem: Exception) -> BadFrame:
    """Work out what is wrong with a refused frame. Off the hot path, so it may parse again, and leniently."""
    try:
        seen = json.loads(text)
    except (ValueError, RecursionError):
        return BadFrame(BadRequest(f"frame is not JSON: {lowered(problem)[:300]}"))
    if not isinstance(seen, dict):
        return BadFrame(BadRequest(f"frame is a JSON {type(seen).__name__}, not an object"))
    rid = seen.get("rid")
    if not isinstance(rid, int) or isinstance(rid, bool) or abs(rid) > EXACT_MAX:
        rid = _readable(rid)
    error = _problem_with(seen.get("type"), problem)
    return BadFrame(error, rid=rid, cid=_readable(seen.get("cid")), cmid=_readable(seen.get("cmid")))


def _readable(name: object) -> str | None:
    """`name` where it is text that can be answered with: a lone surrogate cannot be encoded again."""
    return name if isinstance(name, str) and name.isprintable() else None


def _problem_with(frame_type: object, problem: Exception) -> PushpullError:
    if not isinstance(frame_type, str):
        return BadRequest("frame has no 'type', a string")
    if frame_type not in KNOWN_TYPES:
        return Unsupported(f"frame type {frame_type[:40]!a} is not supported")
    if not isinstance(problem, msgspec.ValidationError):
        # The lenient parser took it and the strict one did not.
        return BadRequest(f"bad {frame_type} frame: NaN, Infinity and lone surrogates are not JSON")
    return BadRequest(f"bad {frame_type} frame: {lowered(problem)[:300]}")
