"""What the service says: each function returns the bytes of one frame. (What clients say: client_frames.)

Frames that go to many members (`messages`, `notice`) hold nothing that depends on the receiver, so one bytes object
serves all of them. They are put together by hand from parts that are JSON already: an item is encoded once in its
life, a page is a join of items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from pushpull.delivery.client_frames import Rid
from pushpull.errors import PushpullError
from pushpull.model import CMID_MAX, NAME_MAX, Cid, Cursors, Entry, Sent

SUBPROTOCOL: Final = "pushpull.v1"


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
