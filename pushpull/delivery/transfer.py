"""The lines of an exported conversation, one JSON object each: what they hold, written and read.

In this order: one `conversation`; then `message`, `redacted` and `floor` by seq; then `member`; then one `end`, which
says how much there was, so that a file that was cut off is noticed. An export that fails on the way ends with `error`.

A message stands as it was sent: an edit is a line of its own, and what a message says since is under `edited`, for
whoever only reads. A body that holds line breaks (between its tokens) would break its line: it goes as text, in
`body_text`, so that it arrives byte for byte, too.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from pushpull.delivery.drafts import Exact
from pushpull.errors import BadRequest, PushpullError, TooLarge, lowered
from pushpull.model import DEFAULT_PREFS, Cid, ConversationSettings, Edited, Entry, Head, LogId, MovedMember

FORMAT: Final = 1
"""Of the lines; a file of a higher one is not read."""

MEDIA_TYPE: Final = "application/x-ndjson"


class _Line(msgspec.Struct, kw_only=True, tag_field="type", omit_defaults=True):
    """What is None, False or empty is not written. (Of other values it is not their worth that msgspec compares.)"""


class Conversation(msgspec.Struct, kw_only=True, tag_field="type", tag="conversation"):
    """The log when the export began. Files of other systems need no more than `format`."""

    format: int
    cid: str = ""
    epoch: str = ""
    head: Exact | None = None
    last: str | None = None  # the log id at the head
    floor: Exact = 1
    count: Exact | None = None  # messages up to the head that are not quiet, those below the floor among them
    settings: dict[str, Any] = {}


class EditedLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a message says since it was edited; for whoever reads: an import goes by the edit's own line."""

    seq: Exact
    ts: Exact
    body: msgspec.Raw | UnsetType = UNSET
    body_text: str | UnsetType = UNSET


class Message(_Line, tag="message"):
    """A message as it was sent. `body` or `body_text`; what of seq, id and cmid is missing is made by the import."""

    seq: Exact | None = None
    id: str | None = None
    ts: Exact | None = None
    sender: str | None = msgspec.field(default=None, name="from")
    cmid: str | None = None
    kind: str | None = None  # message
    body: msgspec.Raw | UnsetType = UNSET
    body_text: str | UnsetType = UNSET
    quiet: bool = False
    mentions: list[str] = []
    ref: Exact | None = None
    edited: EditedLine | UnsetType = UNSET


class Redacted(_Line, tag="redacted"):
    """Nothing stands at this seq any more. `id` is what stood there."""

    seq: Exact | None = None
    id: str | None = None
    quiet: bool = False


class Floor(_Line, tag="floor"):
    """While the export ran, retention took what is below."""

    floor: Exact


class Member(_Line, tag="member"):
    user: str
    role: str | None = None  # member
    joined: Exact | None = None  # 0
    delivered: Exact | None = None
    read: Exact | None = None
    notify: str | None = None  # all
    mute_until: Exact | None = None


class End(_Line, tag="end", omit_defaults=False):
    """The last line: how many lines of each kind came before it, and the SHA-256 of them all, line ends included."""

    messages: Exact
    redacted: Exact = 0
    members: Exact = 0
    sha256: str | None = None


class Failure(_Line, tag="error"):
    """The export could not go on."""

    error: dict[str, Any]


Line = Conversation | Message | Redacted | Floor | Member | End | Failure

_encode: Final = msgspec.json.Encoder().encode
_decoder: Final[msgspec.json.Decoder[Line]] = msgspec.json.Decoder(Line)


def decoded(line: bytes) -> Line:
    """Read a line. Raises BadRequest, which names no content."""
    try:
        return _decoder.decode(line)
    except msgspec.ValidationError as problem:
        raise BadRequest(lowered(problem)[:300]) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise BadRequest(f"not JSON: {lowered(problem)[:300]}") from None


def encoded(line: Line) -> bytes:
    """A line with its end."""
    return _encode(line) + b"\n"


def conversation_line(cid: Cid, head: Head) -> bytes:
    """The first line."""
    own, unset = dataclasses.asdict(head.settings), ConversationSettings()
    settings = {name: value for name, value in own.items() if value != getattr(unset, name)}
    return encoded(
        Conversation(
            format=FORMAT,
            cid=cid,
            epoch=head.epoch,
            head=head.seq,
            last=head.last_id,
            floor=head.floor,
            count=head.count,
            settings=settings,
        )
    )


def message_line(entry: Entry, edited: Edited | None, latest: bytes) -> bytes:
    """`entry` as it was sent; with `edited`, `latest` is what it says since."""
    return encoded(
        Message(
            seq=entry.seq,
            id=entry.id,
            ts=entry.ts,
            sender=entry.sender,
            cmid=entry.cmid,
            kind=entry.kind,
            **_body_fields(entry.body),
            quiet=entry.quiet,
            mentions=list(entry.mentions),
            ref=entry.ref,
            edited=UNSET if edited is None else EditedLine(seq=edited.seq, ts=edited.ts, **_body_fields(latest)),
        )
    )


def redacted_line(seq: int, log_id: LogId | None, *, quiet: bool) -> bytes:
    return encoded(Redacted(seq=seq, id=log_id, quiet=quiet))


def member_line(member: MovedMember) -> bytes:
    return encoded(
        Member(
            user=member.uid,
            role=member.role.value,
            joined=member.joined,
            delivered=member.delivered,
            read=member.read,
            notify=None if member.prefs.notify == DEFAULT_PREFS.notify else member.prefs.notify,
            mute_until=member.prefs.mute_until,
        )
    )


def failure_line(error: PushpullError) -> bytes:
    return encoded(Failure(error={"code": error.code, "detail": error.message}))


def _body_fields(body: bytes) -> dict[str, Any]:
    if b"\n" in body or b"\r" in body:
        return {"body_text": body.decode()}
    return {"body": msgspec.Raw(body)}


class Splitter:
    """Bytes as they come, cut into lines. Holds at most one line, of at most `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._begun: list[bytes] = []  # of the line that is not over
        self._begun_bytes = 0
        self._lines = 0  # that were handed out

    def take(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, without their ends. Raises TooLarge."""
        *ended, rest = chunk.split(b"\n")
        lines = [self._ended(line) for line in ended]
        self._begin(rest)
        return lines

    def last(self) -> bytes:
        """What came after the last line end: a last line without one, or nothing."""
        return self._ended(b"")

    def _begin(self, piece: bytes) -> None:
        if piece:
            self._begun.append(piece)
            self._begun_bytes += len(piece)
        if self._begun_bytes > self._limit_bytes:
            raise TooLarge(f"line {self._lines + 1} is over the limit of {self._limit_bytes} bytes")

    def _ended(self, piece: bytes) -> bytes:
        self._begin(piece)
        line = b"".join(self._begun)
        self._begun, self._begun_bytes = [], 0
        self._lines += 1
        return line
