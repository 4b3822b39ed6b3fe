"""What the store takes and gives: plain frozen values. Seqs and cursors are ints, ids are log ids, times are ms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import msgspec

from pushpull.model import ZERO_ID, Absent, Cid, Cursors, Entry, Head, LogId, Role, SessionId, Uid
from pushpull.store.passing import ReceiptBell, SignalBell

Unnamed = Literal["delivered", "all", "head"]
"""Where a device begins in a conversation that it names no position in."""


class Verdict(StrEnum):
    """How a place (a log id a reader stands at) relates to the log as it is now."""

    SAME = "same"  # the id is the log's, or stands right below the floor
    REDACTED = "redacted"  # the id was the log's; its entry has been redacted since
    TRIMMED = "trimmed"  # below floor - 1: what follows it is gone for good
    DIVERGED = "diverged"  # the log holds another entry there, or ends before it
    DELETED = "deleted"  # of a log that was deleted before this one was made under the same name


class ReadRequest(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Read forward (after, …]; with an `anchor`, seq(anchor) == after, and the log's id at that seq is compared."""

    cid: Cid
    after: int
    anchor: LogId | None = None
    limit: int = 100
    max_bytes: int = 256 * 1024  # of bodies; at least one entry is read whatever its size


class LogRead(msgspec.Struct, frozen=True, gc=False):
    """One consistent look at a log: its head and entries, ascending, none below the floor."""

    head: Head
    entries: tuple[Entry, ...]
    verdict: Verdict = Verdict.SAME
    common: LogId = ZERO_ID  # where `verdict` is diverged: the last id sure to be in both logs
    more: bool = False  # forward: entries follow up to the head; backward: older ones exist


class RowRequest(msgspec.Struct, frozen=True, gc=False):
    """A conversation a device asks for, and where it stands there (None: it does not say)."""

    cid: Cid
    position: LogId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRequest:
    """The conversations one device of `uid` asks for, and where it begins in those it names no position in."""

    uid: Uid
    wanted: Sequence[RowRequest]
    unnamed: Unnamed = "delivered"
    max_backlog: int | None = None
    device: str = ""


class CursorMove(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Move a member's cursors forward. Each is a log id ("57-…", ignored unless the log's own) or a bare seq ("57")."""

    uid: Uid
    delivered: str | None = None
    read: str | None = None


@dataclass(frozen=True, slots=True)
class Receipts:
    """How many of those who were members then have a message; names only where asked for, in cursor order."""

    delivered: int
    read: int
    delivered_by: list[Uid] | None = None
    read_by: list[Uid] | None = None


@dataclass(frozen=True, slots=True)
class MemberCounts:
    """What a change of members did, and how many there are after it."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    members: int = 0


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One member: the head it joined at, and its cursors."""

    user: Uid
    role: Role
    joined: int
    delivered: int
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRow:
    """A range that had to be sent to a device again, and has not been acked."""

    user: Uid
    device: str
    session: str
    first: int
    last: int
    delivery_count: int
    first_sent_ms: int
    last_sent_ms: int


@dataclass(frozen=True, slots=True)
class PendingSummary:
    """XPENDING's short form, from the cursors: `count` copies not delivered, the seqs they span (None: none)."""

    count: int
    min: int | None
    max: int | None
    consumers: list[tuple[Uid, int]]  # most behind first, at most 100 of them


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """A live session, as every node can look it up."""

    id: SessionId
    uid: Uid
    device: str
    node: str
    client: str
    connected_at_ms: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A session was entered: `replaced` are those of its own node whose place it takes, `elsewhere` the other nodes
    where the user is connected."""

    replaced: Sequence[SessionRecord]
    elsewhere: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What became of a session while its node may not have heard."""

    revoked_before: int | None  # s since 1970; None: no token of the user's was revoked
    kicked: bool
    replaced: bool
    listed: bool  # it is on the user's table
    elsewhere: frozenset[str]  # other nodes where the user is connected


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """A node that beat lately: `info` as it gave it, `age_ms` since its last beat by Redis' clock."""

    id: str
    age_ms: int
    info: dict[str, object]


@dataclass(frozen=True, slots=True)
class Health:
    """What a probe of Redis found; `detail` says in words what is wrong ("" when nothing is)."""

    reachable: bool
    writable: bool
    noeviction: bool
    detail: str

    @property
    def ok(self) -> bool:
        return self.reachable and self.writable and self.noeviction


class Bell(msgspec.Struct, frozen=True, gc=False):
    """A doorbell: the log now ends at `id`, before it at `prev`. `id == prev`: membership or settings changed."""

    cid: Cid
    id: LogId
    prev: LogId
    epoch: str
    mver: int
    floor: int
    count: int
    entry: Entry | None  # None: too large to ride on the bell, read the log


@dataclass(frozen=True, slots=True)
class Subscribed:
    """Bells of `cid` ring from here on; those before may be lost: read the log from the tail."""

    cid: Cid


@dataclass(frozen=True, slots=True)
class ControlSubscribed:
    """Announcements arrive from here on; those before may be lost: check what they would have said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Said to every node: joined | left | deleted (a cid, users), kick | revoked (one user), here | gone (a user is, or
    is no longer, connected on `node` too), cursors (a user's, in a cid), rewritten (a cid's log, under the same ids),
    policy (it was changed) or asked (how one user's sessions stand in a cid)."""

    kind: str
    cid: Cid | None = None
    users: tuple[Uid, ...] = ()
    session: SessionId | None = None  # kick: this one; None: all of the user's
    replaced: bool = False  # kick: because another session took its place
    ts: int | None = None  # revoked: tokens issued before this (s since 1970)
    node: str | None = None  # here, gone
    question: str | None = None  # asked: under which name answers are awaited
    cursors: Cursors | None = None
    number: int = field(default=0, compare=False)  # which it is, not what it says: one more than the one before it


@dataclass(frozen=True, slots=True)
class ProbeEcho:
    """A probe of this node came back through pub/sub, from this shard ("": there is only one)."""

    token: str
    shard: str = ""


Ring = Bell | SignalBell | ReceiptBell | Subscribed | ControlSubscribed | Announcement | ProbeEcho
"""Whatever `Bells.next` may hand out."""


@dataclass(frozen=True, slots=True)
class Job:
    """A conversation with news whose time has come, in a worker's hands."""

    id: str
    cid: Cid
    tries: int  # that failed before, in a row: nobody was told in them
    taken: int  # times this job was given to a worker; more than once: workers let it lie


@dataclass(frozen=True, slots=True)
class JobCounts:
    """Conversations with news: not due yet (or due again later), without a worker, with one, given up."""

    due: int
    waiting: int
    pending: int
    dead: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A job that was given up, why, after how many tries, and when (ms since 1970)."""

    id: str
    cid: Cid
    why: str
    tries: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Some of the members who are behind `upto`, furthest behind first."""

    head: Head
    now_ms: int  # by Redis' clock
    upto: int  # the newest message that is old enough to count; above it there may be young ones
    newest: int  # the newest message up to there that is not quiet; 0: not known
    claimed: bool  # a notification is under way
    absent: list[Absent]
    last_at: int
    last_uid: Uid  # "": these were the last

    @property
    def more(self) -> bool:
        return self.last_uid != ""
