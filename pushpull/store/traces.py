"""What Redis knows of one message and one user; and a message found again by the cmid it was sent under."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from pushpull.errors import no_such_conversation
from pushpull.model import DEFAULT_PREFS, Cid, Entry, Head, LogId, Prefs, Role, Uid, seq_of, ts_of
from pushpull.store import codec
from pushpull.store.keys import Keys
from pushpull.store.members import Members, slices
from pushpull.store.scripts import HEAD, Call, Script, Wire

SENDERS_AT_ONCE: Final = 1_000
SCANNED_AT_ONCE: Final = 100
"""Entries of one script call: their bodies pass through Lua, 64 KiB each at the worst."""
SCANNED_MAX: Final = 10_000
"""Messages of the log that are looked through for a cmid that its table does not know any more: some 50 ms."""
PAST_MAX: Final = 10_000
"""Former members whose cmids are tried."""
BUCKETS_BEFORE: Final = 2  # the one before is complete, the one before that may still be there in part

_TRACE: Final = Script.load("trace", "basics", "state")
_FIND_CMID: Final = Script.load("find_cmid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One instant. `entry`: the one in the log at the seq, without its body; `redacted`: the id that stood there.
    `redactions`: how many ids the log has lost that way. `joined` and the cursors: None where the user is no member;
    `told`: the head of its last offline notification; `past`: of one who is no member, up to where it may stand in the
    log, having left it, or having been named in it."""

    head: Head
    now_ms: int
    entry: Entry | None
    redacted: LogId | None
    redactions: int
    joined: int | None
    role: Role
    delivered: int | None
    read: int | None
    prefs: Prefs
    told: int | None
    past: int | None


@dataclass(frozen=True, slots=True)
class CmidSearch:
    """`found`: sender (None: the service) and log id, the newest first. Where nothing was found: what was stored since
    `since_ms` would have been, and the log was looked through from `from_seq` on. `senders`: whose cmids were asked."""

    found: list[tuple[Uid | None, LogId]]
    since_ms: int
    from_seq: int
    senders: int


class Traces:
    """Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys, members: Members, *, window_ms: int) -> None:
        self._wire = wire
        self._keys = keys
        self._members = members
        self._window_ms = window_ms

    async def look(self, cid: Cid, uid: Uid, seq: int | None) -> Traced:
        """What is known of the message at `seq` (None: of none) and of the user. Raises NoSuchConversation."""
        keys = self._keys
        names = [keys.meta(cid), keys.members(cid), keys.roles(cid), keys.delivered(cid), keys.read(cid)]
        names += [keys.prefs(cid), keys.told(cid), keys.log(cid), keys.redacted(cid), keys.edits(cid)]
        names.append(keys.past(cid))
        reply = await self._wire.run(Call(_TRACE, names, [uid, "" if seq is None else seq]), again=True)
        if reply is None:
            raise no_such_conversation(cid)
        return _traced(reply)

    async def by_cmid(self, cid: Cid, cmid: str, sender: Uid | None) -> CmidSearch:
        """The message sent under `cmid` by `sender`; None: by anybody who is or was a member, or by the service.

        First in the tables of cmids, which reach back one to two idempotency windows; then in the newest SCANNED_MAX
        messages of the log. One that was redacted is found by its cmid alone. Raises NoSuchConversation.
        """
        reply = await self._wire.run(Call(HEAD, [self._keys.meta(cid), self._keys.members(cid)]), again=True)
        if reply is None:
            raise no_such_conversation(cid)
        head = codec.head(reply)
        senders = (
            [str(sender)] if sender is not None else ["", *[u async for us in self._members.every(cid) for u in us]]
        )
        now_bucket = int(time.time() * 1000) // self._window_ms
        found = await self._in_tables(cid, cmid, senders, self._buckets(now_bucket, head))
        from_seq = head.seq + 1
        if not found:
            found, from_seq = await self._in_log(cid, cmid, sender, head)
        found.sort(key=lambda pair: -seq_of(pair[1]))
        return CmidSearch(found, (now_bucket - 1) * self._window_ms, from_seq, len(senders))

    async def _senders(self, cid: Cid) -> list[str]:
        """Whoever may have sent something: the service (""), members, and those who left last."""
        past = await self._wire.command("ZREVRANGE", self._keys.past(cid), 0, PAST_MAX - 1, again=True)
        members = [uid async for uids in self._members.every(cid) for uid in uids]
        return ["", *members, *(each.decode() for each in past)]

    def _buckets(self, now: int, head: Head) -> list[int]:
        """Those that may be there: around now, and where the log's own time is another."""
        last = ts_of(head.last_id) // self._window_ms
        return sorted({bucket - ago for bucket in (now + 1, last) for ago in range(BUCKETS_BEFORE + 2)})

    async def _in_tables(
        self, cid: Cid, cmid: str, senders: Sequence[str], buckets: Sequence[int]
    ) -> list[tuple[Uid | None, LogId]]:
        found: list[tuple[Uid | None, LogId]] = []
        for chunk in slices(senders, SENDERS_AT_ONCE):
            fields = [f"{sender}/{cmid}" for sender in chunk]
            asked = [("HMGET", self._keys.cmids(cid, bucket), *fields) for bucket in buckets]
            for values in await self._wire.commands(asked, again=True):
                for sender, value in zip(chunk, values, strict=True):
                    if value is not None:
                        found.append((Uid(sender) or None, LogId(value.decode().partition(" ")[0])))
        return list(dict.fromkeys(found))

    async def _in_log(
        self, cid: Cid, cmid: str, sender: Uid | None, head: Head
    ) -> tuple[list[tuple[Uid | None, LogId]], int]:
        """Those found, and the seq from which on the log was looked through."""
        below, reached = "+", head.seq + 1
        for _ in range(SCANNED_MAX // SCANNED_AT_ONCE):
            pairs, last = await self._wire.run(
                Call(_FIND_CMID, [self._keys.log(cid)], [cmid, below, SCANNED_AT_ONCE]), again=True
            )
            ids = zip(pairs[::2], pairs[1::2], strict=True)
            found = [(Uid(who.decode()) or None, LogId(at.decode())) for at, who in ids]
            found = [pair for pair in found if seq_of(pair[1]) >= head.floor and sender in (None, pair[0])]
            if found:
                return found, reached
            below = last.decode()
            if not below or seq_of(below) <= head.floor:
                return [], head.floor
            reached = seq_of(below)
        return [], reached


def _traced(reply: Sequence[Any]) -> Traced:
    state, now_ms, log_id, fields, edit, gone, redactions, joined, role, delivered, read, prefs, told, past = reply
    entry = None
    if log_id is not None:
        entry = codec.entry([log_id, [*fields, b"body", b""]], None if edit is None else edit + b" ")
    return Traced(
        head=codec.head(state),
        now_ms=now_ms,
        entry=entry,
        redacted=None if gone is None else LogId(gone.decode()),
        redactions=redactions,
        joined=_number(joined),
        role=Role.MEMBER if role is None else Role(role.decode()),
        delivered=_number(delivered),
        read=_number(read),
        prefs=DEFAULT_PREFS if prefs is None else codec.prefs(prefs),
        told=_number(told),
        past=_number(past),
    )


def _number(raw: bytes | None) -> int | None:
    return None if raw is None else int(float(raw))
