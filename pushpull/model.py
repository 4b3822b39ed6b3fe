"""The words every layer shares: ids, messages, heads, rows. Plain frozen values, no behaviour beyond reading an id.

A **log id** is `"<seq>-<tag>"`, the Redis Stream entry id. The seq is dense per conversation (1, 2, 3 …); the tag
is ms × 1024 + 10 bits of a digest of (from, cmid, body), so that two messages which ever had the same seq (a
primary lost its tail) have different ids. Outside this module and the append script the tag is opaque.

What is made once or more for each message is a msgspec struct, which costs a tenth of a frozen dataclass to make;
`gc=False` where no value can hold itself, so that the collector need not look at them either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple, NewType

import msgspec
from msgspec.structs import replace

from pushpull.errors import Invalid

Cid = NewType("Cid", str)
Uid = NewType("Uid", str)
LogId = NewType("LogId", str)
SessionId = NewType("SessionId", str)

ZERO_ID: Final = LogId("0-0")
"""The position before the first message; also the last id of an empty log."""

TAG_DIGEST_BITS: Final = 10
CMID_MAX: Final = 64

NAME_MAX: Final = 128
NAME_PATTERN: Final = f"[A-Za-z0-9._:@-]{{1,{NAME_MAX}}}"
"""Of a cid and a uid."""

EXACT_MAX: Final = 2**53 - 1
"""The largest integer that JavaScript and Lua hold exactly; a larger one could not even be answered with."""

_NAME = re.compile(NAME_PATTERN + r"\Z")
# 19 digits of seq would pass 2**53, where Lua's and JavaScript's numbers stop being exact.
_LOG_ID = re.compile(r"(0|[1-9][0-9]{0,15})-(0|[1-9][0-9]{0,15})\Z")


class Role(StrEnum):
    READER = "reader"
    MEMBER = "member"
    MODERATOR = "moderator"


class Mode(StrEnum):
    PUSH = "push"
    NOTIFY = "notify"


class Kind(StrEnum):
    """The kinds that mean something to the service; any other string is the app's own."""

    MESSAGE = "message"
    EDIT = "edit"
    REACTION = "reaction"
    REDACT = "redact"


QUIET_KINDS: Final = frozenset({Kind.EDIT, Kind.REACTION, Kind.REDACT})


def check_cid(value: object) -> Cid:
    """Return `value` as a conversation id, or raise Invalid: 1 to 128 characters of `A-Z a-z 0-9 . _ : - @`."""
    return Cid(_check_name("cid", value))


def check_uid(value: object) -> Uid:
    """Return `value` as a user id, or raise Invalid: 1 to 128 characters of `A-Z a-z 0-9 . _ : - @`."""
    return Uid(_check_name("uid", value))


def _check_name(what: str, value: object) -> str:
    if isinstance(value, str) and _NAME.match(value):
        return value
    raise Invalid(f"{what} {value!r:.140} is not 1 to 128 characters of A-Z a-z 0-9 . _ : - @")


def check_log_id(value: object) -> LogId:
    """Return `value` as a log id, or raise Invalid."""
    if isinstance(value, str) and _LOG_ID.match(value):
        return LogId(value)
    raise Invalid(f"position {value!r:.60} is not a log id '<seq>-<tag>'")


def seq_of(log_id: str) -> int:
    """The seq of a log id: `seq_of("57-1832…") == 57`."""
    return int(log_id.partition("-")[0])


def ts_of(log_id: str) -> int:
    """When the entry was appended, in ms since 1970 by Redis' clock."""
    return int(log_id.partition("-")[2]) >> TAG_DIGEST_BITS


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says. Times are seconds since 1970; None where the token does not say."""

    uid: Uid
    issued_at: float | None
    expires_at: float | None


class Goodbye(NamedTuple):
    """Why a connection ended: a close code, what was said, and by whom: device | service | line (it was lost)."""

    code: int
    reason: str
    by: Literal["device", "service", "line"]


LINE_LOST: Final = Goodbye(1006, "the connection was lost", "line")
"""Nobody said goodbye."""


class Draft(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message on its way into the log. Values are checked by whoever builds it (web, delivery.drafts)."""

    cid: Cid
    sender: Uid | None  # None: the service itself
    cmid: str
    body: bytes  # raw JSON, relayed byte for byte
    kind: str = Kind.MESSAGE
    quiet: bool = False
    mentions: tuple[str, ...] = ()  # uids, or "*"
    ref: int | None = None
    first_at: int | None = None  # ms; when the sender first tried
    own: bool = True  # sent with the sender's own token: membership and role are checked, its cursors move
    chain: str = ""  # drafts of one chain and conversation are stored in order; after one fails those behind it fail


class Cursors(msgspec.Struct, frozen=True, gc=False):
    """One member's cursors in one conversation, after a move or a read."""

    delivered: int
    read: int
    unread: int
    count: int

    def joined_with(self, other: Cursors) -> Cursors:
        """Both, told in either order: each cursor where it is furthest, `unread` and `count` of the newer one."""
        newer, older = (self, other) if (self.read, self.count) >= (other.read, other.count) else (other, self)
        return newer if newer.delivered >= older.delivered else replace(newer, delivered=older.delivered)


class Sent(msgspec.Struct, frozen=True, gc=False):
    """What a sender is told: stored, at this log id; `dup` when it had been stored before."""

    cid: Cid
    cmid: str
    id: LogId
    dup: bool
    moved: Cursors | None = None  # the sender's cursors, where this send moved them


class Edited(msgspec.Struct, frozen=True, gc=False):
    """The edit whose body an entry now carries: the edit's own seq, and when (ms)."""

    seq: int
    ts: int


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A stored message. `body` is raw JSON: the latest body where the message was edited."""

    id: LogId
    seq: int
    ts: int
    sender: Uid | None
    cmid: str
    kind: str
    body: bytes
    quiet: bool = False
    mentions: tuple[str, ...] = ()
    ref: int | None = None
    edited: Edited | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationSettings:
    """What a conversation says for itself; None means: as the service's settings say."""

    mode: str = "auto"  # auto | push | notify
    push_window_ms: int | None = None  # where it is pushed: gather messages so long, 0 or None: each by itself
    history: str = "all"  # all | joined
    offline: str | None = None  # all | mentions | none; None: all where it is pushed, mentions where it is notified
    retain_messages: int | None = None
    retain_days: int | None = None
    sends_per_s: float | None = None
    data: Any = None  # free JSON, at most 4 KiB encoded


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The state of a log at one instant. Empty: `last_id` "0-0", `seq` 0, `floor` 1."""

    epoch: str
    last_id: LogId
    floor: int  # the oldest seq still kept; seq + 1 where everything was trimmed
    count: int  # messages up to seq that are not quiet
    mver: int  # grows with each change of membership or settings
    rev: int  # grows with each redaction and edit
    members: int
    settings: ConversationSettings
    removals: int = 0  # how often members were removed: who sees it grown asks who of its own still is one

    @property
    def seq(self) -> int:
        return seq_of(self.last_id)


class Prefs(msgspec.Struct, frozen=True, gc=False):
    """What a member wants to be notified of in a conversation while away."""

    notify: str = "all"  # all | mentions | none
    mute_until: int | None = None  # ms since 1970


DEFAULT_PREFS: Final = Prefs()


class Row(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A conversation as one member sees it."""

    cid: Cid
    head: Head
    role: str
    joined: int
    delivered: int
    read: int
    unread: int
    mentions: int  # unread messages that mention the member, counted over the newest 1,000 with mentions
    start: LogId  # where this device begins
    reset: str | None = None  # diverged | trimmed | deleted: why `start` is not the position the device named
    prefs: Prefs = DEFAULT_PREFS
    delivered_before: int | None = None  # less than `delivered` where the position that the device named moved it

    @property
    def cursors(self) -> Cursors:
        return Cursors(self.delivered, self.read, self.unread, self.head.count)


class Absent(msgspec.Struct, frozen=True, gc=False):
    """A member who is behind, and what decides whether it is notified of that."""

    uid: Uid
    unread: int
    mentioned: bool  # in something unread
    told: bool  # was notified before, and has not come as far as that yet
    prefs: Prefs


class Owed(msgspec.Struct, frozen=True, gc=False):
    """One user of a notification."""

    uid: Uid
    unread: int
    mentioned: bool


class Notification(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What one call of the webhook says; kept from the decision until it was delivered, so that it has one id."""

    id: str
    cid: Cid
    upto: int  # the head it was made at
    newest: int  # the newest message up to there that is not quiet; 0: not known
    made_ms: int
    users: tuple[Owed, ...]  # empty: all have caught up since


class MovedMessage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message on its way from one service into another, with the place and the time it has."""

    seq: int
    ms: int
    id: LogId | None  # None: made where it is stored, of seq, ms and content
    draft: Draft | None  # None: it was redacted, its place stays empty
    quiet: bool


class MovedMember(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A member on its way into another service: with the head it joined at, and its cursors."""

    uid: Uid
    role: Role
    joined: int
    delivered: int
    read: int
    prefs: Prefs = DEFAULT_PREFS
