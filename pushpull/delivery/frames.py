"""Every frame of the wire contract: parse, check, encode.

Inbound, one JSON text becomes one of the structs below, or BadFrame: which says what was wrong and carries what of
`rid`, `cid` and `cmid` could still be read, so that the answer can name the frame it is about.

Outbound, each function returns the bytes of one frame. Those that go to many members (`messages`, `notice`) hold
nothing that depends on the receiver, so one bytes object serves all of them. They are put together by hand from
parts that are JSON already: an item is encoded once in its life, a page is a join of items.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec
import orjson
from msgspec import UNSET, UnsetType

from pushpull.delivery.drafts import DraftFields, Exact
from pushpull.errors import BadRequest, PushpullError, Unsupported, lowered
from pushpull.model import CMID_MAX, EXACT_MAX, NAME_MAX, Cid, Cursors, Entry, Sent

SUBPROTOCOL: Final = "pushpull.v1"
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


# ------------------------------------------------------------------------------------------------ shared frames


def item(entry: Entry) -> bytes:
    """The item of one entry, as it stands in every frame and page. Encoded once, when the entry is first seen."""
    fields: dict[str, Any] = {"id": entry.id, "seq": entry.seq, "ts": entry.ts}
    if entry.sender is not None:
        fields["from"] = entry.sender
    fields["cmid"] = entry.cmid
    fields["kind"] = entry.kind
    fields["body"] = orjson.Fragment(entry.body)
    if entry.quiet:
        fields["quiet"] = True
    if entry.mentions:
        fields["mentions"] = entry.mentions
    if entry.ref is not None:
        fields["ref"] = entry.ref
    if entry.edited is not None:
        fields["edited"] = {"seq": entry.edited.seq, "ts": entry.edited.ts}
    return orjson.dumps(fields)


def messages(
    cid: Cid, after: int, upto: int, upto_id: str, items: Iterable[bytes], *, head: int, floor: int, redelivery: int = 0
) -> bytes:
    """`messages`: covers (after, upto]. `redelivery` n says: handed to this device for the (n + 1)th time."""
    again = b',"redelivery":%d' % redelivery if redelivery else b""
    return b'{"type":"messages","cid":"%b","after":%d,"upto":%d,"upto_id":"%b","items":[%b],"head":%d,"floor":%d%b}' % (
        cid.encode(),
        after,
        upto,
        upto_id.encode(),
        b",".join(items),
        head,
        floor,
        again,
    )


def history(cid: Cid, before: int, items: Iterable[bytes], *, floor: int, more: bool, rid: Rid = None) -> bytes:
    """`history`: items ascending, the answer to a backward pull."""
    return b'{"type":"history","cid":"%b","before":%d,"items":[%b],"floor":%d,"more":%b%b}' % (
        cid.encode(),
        before,
        b",".join(items),
        floor,
        b"true" if more else b"false",
        b',"rid":' + orjson.dumps(rid) if rid is not None else b"",
    )


def notice(cid: Cid, *, head: int, count: int, mentioned: bool = False) -> bytes:
    """`notice`: there is something up to `head`. Two variants in all, with and without `mentioned`."""
    flag = b',"mentioned":true' if mentioned else b""
    return b'{"type":"notice","cid":"%b","head":%d,"count":%d%b}' % (cid.encode(), head, count, flag)


def signal(cid: Cid, sender: str, body: bytes) -> bytes:
    """`signal`: something passing that `sender` said; `body` is JSON already."""
    return b'{"type":"signal","cid":"%b","from":"%b","body":%b}' % (cid.encode(), sender.encode(), body)


def receipt(cid: Cid, user: str, *, delivered: int, read: int) -> bytes:
    """`receipt`: another member's cursors, both as they are now."""
    return b'{"type":"receipt","cid":"%b","user":"%b","delivered":%d,"read":%d}' % (
        cid.encode(),
        user.encode(),
        delivered,
        read,
    )


# --------------------------------------------------------------------------------------- frames for one receiver


def _frame(frame_type: str, fields: Mapping[str, Any], rid: Rid = None) -> bytes:
    frame: dict[str, Any] = {"type": frame_type, **fields}
    if rid is not None:
        frame["rid"] = rid
    return orjson.dumps(frame)


def welcome(fields: Mapping[str, Any], rid: Rid = None) -> bytes:
    """`welcome`; `fields` as the contract lists them (session, user, device, node, time, …)."""
    return _frame("welcome", fields, rid)


def sync(rows: Sequence[orjson.Fragment], next_cid: str | None, rid: Rid = None) -> bytes:
    return _frame("sync", {"conversations": rows, "next": next_cid}, rid)


def sent(what: Sent, rid: Rid = None) -> bytes:
    return _frame("sent", {"cid": what.cid, "cmid": what.cmid, "id": what.id, "dup": what.dup}, rid)


def cursors(cid: Cid, moved: Cursors, rid: Rid = None) -> bytes:
    fields = {
        "cid": cid,
        "delivered": moved.delivered,
        "read": moved.read,
        "unread": moved.unread,
        "count": moved.count,
    }
    return _frame("cursors", fields, rid)


def reset(cid: Cid, reason: str, *, epoch: str, pos: str, head: int, floor: int) -> bytes:
    return _frame("reset", {"cid": cid, "reason": reason, "epoch": epoch, "pos": pos, "head": head, "floor": floor})


def conversation(cid: Cid, change: str, row: Mapping[str, Any] | None = None) -> bytes:
    fields: dict[str, Any] = {"cid": cid, "change": change}
    if row is not None:
        fields["row"] = row
    return _frame("conversation", fields)


def error(problem: PushpullError, *, rid: Rid = None, cid: str | None = None, cmid: str | None = None) -> bytes:
    fields: dict[str, Any] = {"code": problem.code, "message": problem.message, "temporary": problem.temporary}
    # One that is too long to be a name is not repeated: an answer is not to be as large as whatever was said.
    if cid is not None and len(cid) <= NAME_MAX:
        fields["cid"] = cid
    if cmid is not None and len(cmid) <= CMID_MAX:
        fields["cmid"] = cmid
    if problem.retry_after_ms is not None:
        fields["retry_after_ms"] = problem.retry_after_ms
    return _frame("error", fields, rid)


def ping() -> bytes:
    return b'{"type":"ping"}'


def pong(t: int | float | str | None, rid: Rid = None) -> bytes:
    """`pong` with the `t` of the ping."""
    return _frame("pong", {} if t is None else {"t": t}, rid)


def drain(*, after_ms: int, jitter_ms: int) -> bytes:
    return _frame("drain", {"after_ms": after_ms, "jitter_ms": jitter_ms})
