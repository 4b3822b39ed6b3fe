"""An exported conversation on its way in: line after line, checked against all that came before it.

Pure, and the same lines give the same values each time they are read: so an import that was interrupted is sent again
from its beginning, and what is stored already is compared instead of stored.

Seqs are dense: each line of the log has the seq after the one before, and where something was taken out a line says
so. Times never fall, as whoever looks for a time in a log goes by halves; servers whose clocks differ a little wrote
some, so up to LIFT_MS are made up for, and more than that means lines in another order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pushpull.delivery import moved, transfer
from pushpull.errors import BadRequest, Invalid, LimitReached, PushpullError
from pushpull.model import (
    EXACT_MAX,
    Cid,
    LogId,
    MovedMember,
    MovedMessage,
    check_log_id,
    seq_of,
    ts_of,
)
from pushpull.settings import Limits

LIFT_MS: Final = 60_000
AHEAD_MS: Final = 86_400_000
"""How far in the future a time may be. New messages are stamped no earlier than those before them, so a log that is
far ahead would stamp all with its own last time."""
MENTION_BYTES: Final = 140
REST_BYTES: Final = 64 * 1024

E = TypeVar("E", bound=PushpullError)
T = TypeVar("T")
V = TypeVar("V")


def line_bytes(limits: Limits) -> int:
    """The longest line that is read: a message, and beside it what it says since its edit, both escaped as text."""
    return 4 * limits.body_bytes + limits.mentions * MENTION_BYTES + REST_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a whole file came to."""

    last: LogId | None  # None: that of the last line, which had none
    last_ms: int
    floor: int
    count: int
    messages: int
    redacted: int
    members: int
    sha256: str


class Intake:
    """One file. `line` is the number of the line that was taken last, which every error names; `floor` that of the log
    as far as it was taken."""

    def __init__(self, cid: Cid, limits: Limits, now_ms: int) -> None:
        self._cid = cid
        self._limits = limits
        self._latest_ms = now_ms + AHEAD_MS
        self._sha256 = hashlib.sha256()
        self._first: transfer.Conversation | None = None
        self.floor = 1
        self._last: LogId | None = None  # of the line before; None: there is none, or it is made where it is stored
        self._messages = self._redacted = self._members = self._loud = 0
        self.line = 0
        self.summary: Summary | None = None  # once the last line was taken

    def first(self, line: bytes) -> transfer.Conversation:
        """Take the first line. Its settings are the caller's to check. Raises BadRequest, Invalid."""
        found = self._decoded(line)
        if not isinstance(found, transfer.Conversation):
            raise self._named(BadRequest("expected the line of the conversation, as first of all"))
        if found.format != transfer.FORMAT:
            raise self._named(Invalid(f"format {found.format} is not {transfer.FORMAT}, which this release reads"))
        if found.floor < 1:
            raise self._named(Invalid(f"floor {found.floor} is not a seq: 1 or more"))
        if found.last is not None:
            self._checked(self._check_last, found.last)
        self._first, self.floor = found, found.floor
        self._sha256.update(line + b"\n")
        self._last_ms = 0
        self._next = found.floor
        return found

    def _check_last(self, last: str) -> None:
        self._check_not_ahead(ts_of(check_log_id(last)))

    def take(self, line: bytes) -> MovedMessage | MovedMember | None:
        """Take the next line; None: it holds neither a message nor a member. Raises PushpullError."""
        if self.summary is not None and not line.strip():
            return None
        found = self._decoded(line)
        try:
            taken = self._taken(found)
        except PushpullError as error:
            raise self._named(error) from None
        if not isinstance(found, transfer.End):
            self._sha256.update(line + b"\n")
        return taken

    def finish(self) -> Summary:
        """The file is over. Raises BadRequest where it has no last line."""
        if self.summary is None:
            raise BadRequest(f"the file ends at line {self.line}, without an 'end': send all of it to go on")
        return self.summary

    def _decoded(self, line: bytes) -> transfer.Line:
        self.line += 1
        if self.summary is not None:
            raise self._named(BadRequest("a line follows the 'end'"))
        return self._checked(transfer.decoded, line)

    def _checked(self, check: Callable[[V], T], value: V) -> T:
        try:
            return check(value)
        except PushpullError as error:
            raise self._named(error) from None

    def _named(self, error: E) -> E:
        """`error`, with the line it is about."""
        return type(error)(f"line {self.line}: {error.message}")

    def _taken(self, found: transfer.Line) -> MovedMessage | MovedMember | None:
        match found:
            case transfer.Message():
                return self._message(found)
            case transfer.Redacted():
                return self._redaction(found)
            case transfer.Member():
                return self._member(found)
            case transfer.Floor():
                self._raise_floor(found.floor)
                return None
            case transfer.End():
                self.summary = self._summary(found)
                return None
            case transfer.Failure():
                raise _failure_of(found.error)
            case _:
                raise BadRequest("a second line of a conversation: one file holds one conversation")

    # ------------------------------------------------------------------------------------------------ the log

    def _message(self, found: transfer.Message) -> MovedMessage:
        seq = self._seq(found.seq)
        log_id, ms = self._id_and_time(found, seq)
        made = moved.draft_of(found, self._cid, seq, self._limits)
        self._messages += 1
        return self._placed(MovedMessage(seq=seq, ms=ms, id=log_id, draft=made, quiet=made.quiet))

    def _redaction(self, found: transfer.Redacted) -> MovedMessage:
        seq = self._seq(found.seq)
        log_id = None if found.id is None else self._id(found.id, seq)
        ms = self._last_ms if log_id is None else ts_of(log_id)
        self._redacted += 1
        return self._placed(MovedMessage(seq=seq, ms=ms, id=log_id, draft=None, quiet=found.quiet))

    def _placed(self, message: MovedMessage) -> MovedMessage:
        self._next = message.seq + 1
        self._last_ms, self._last = message.ms, message.id
        self._loud += not message.quiet
        return message

    def _seq(self, seq: int | None) -> int:
        if self._members:
            raise Invalid("a message after a member: all messages come before the members")
        if self._next > EXACT_MAX:
            raise Invalid(f"seq {self._next} is over {EXACT_MAX}, the last one there can be")
        if seq is None or seq == self._next:
            return self._next
        raise Invalid(
            f"seq {seq} is not {self._next}, the next one"
            + (": where a message was taken out, a line of type 'redacted' says so" if seq > self._next else "")
        )

    def _id(self, given: str, seq: int) -> LogId:
        log_id = check_log_id(given)
        if seq_of(log_id) != seq:
            raise Invalid(f"id {log_id} is not one of seq {seq}")
        if ts_of(log_id) < self._last_ms:
            raise Invalid(f"id {log_id} is of {ts_of(log_id)}, before the {self._last_ms} of the line before")
        self._check_not_ahead(ts_of(log_id))
        return log_id

    def _id_and_time(self, found: transfer.Message, seq: int) -> tuple[LogId | None, int]:
        if found.id is not None:
            log_id = self._id(found.id, seq)
            if found.ts is not None and found.ts != ts_of(log_id):
                raise Invalid(f"ts {found.ts} is not {ts_of(log_id)}, the time of id {log_id}")
            return log_id, ts_of(log_id)
        if found.ts is None or found.ts < 0:
            raise Invalid(f"ts {found.ts} is not a time in ms since 1970, and there is no id that holds one")
        if found.ts < self._last_ms - LIFT_MS:
            earlier_ms = self._last_ms - found.ts
            raise Invalid(f"ts {found.ts} is {earlier_ms} ms before the line before: expected lines in order of time")
        self._check_not_ahead(found.ts)
        return None, max(found.ts, self._last_ms)

    def _check_not_ahead(self, ms: int) -> None:
        if ms > self._latest_ms:
            raise Invalid(f"ts {ms} is more than {AHEAD_MS // 3_600_000} hours in the future: expected ms since 1970")

    def _raise_floor(self, floor: int) -> None:
        if self._members or floor <= self._next:
            raise Invalid(f"floor {floor} is not above {self._next}, the seq that is next")
        self.floor = self._next = floor

    # ------------------------------------------------------------------------------------------------ the rest

    @property
    def _head(self) -> int:
        return self._next - 1

    def _member(self, found: transfer.Member) -> MovedMember:
        self._members += 1
        if self._members > self._limits.members:
            raise LimitReached(f"{self._members} members: the limit is {self._limits.members}")
        return moved.member_of(found, self._head)

    def _summary(self, end: transfer.End) -> Summary:
        sha256 = self._sha256.hexdigest()
        for name, counted in (("messages", self._messages), ("redacted", self._redacted), ("members", self._members)):
            if getattr(end, name) != counted:
                raise Invalid(f"the file has {counted} lines of {name}, and its 'end' counts {getattr(end, name)}")
        if end.sha256 is not None and end.sha256.lower() != sha256:
            raise Invalid(f"sha256 {end.sha256[:64]!a} is not {sha256}, that of the lines before: the file was changed")
        last = self._last_id()
        return Summary(
            last=last,
            last_ms=self._last_ms if last is None else ts_of(last),
            floor=self.floor,
            count=self._count(),
            messages=self._messages,
            redacted=self._redacted,
            members=self._members,
            sha256=sha256,
        )

    def _last_id(self) -> LogId | None:
        """The id at the head, as the first line says, or as the last message's line does."""
        assert self._first is not None
        said, lines = self._first.last, self._messages + self._redacted
        head = seq_of(said) if said is not None else self._first.head
        if head is not None and head != self._head:
            raise Invalid(f"the first line says that the head is {head}, and the file ends at seq {self._head}")
        if not lines and self._head > 0 and said is None:
            raise Invalid(f"head {self._head} with no message kept: the first line needs 'last', the log id there")
        if said is not None and self._last is not None and said != self._last:
            raise Invalid(f"the first line says that the last id is {said}, and the file ends with {self._last}")
        return self._last if said is None else LogId(said)

    def _count(self) -> int:
        """Messages up to the head that are not quiet. Of those below the floor the first line alone knows."""
        assert self._first is not None
        below = self._head - self._messages - self._redacted
        count = self._first.count
        if count is None:
            return self._loud + below
        if not 0 <= count - self._loud <= below:
            raise Invalid(f"count {count} is not from {self._loud} to {self._loud + below}, as the file has it")
        return count


def _failure_of(problem: dict[str, Any]) -> PushpullError:
    said = f"{problem.get('code', '')!s:.40}: {problem.get('detail', '')!s:.200}"
    return Invalid(f"the export that wrote this file failed with {''.join(filter(str.isprintable, said))}")
