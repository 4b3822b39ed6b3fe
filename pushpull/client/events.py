"""What a chat hands to its owner: messages, and what happens around them. All frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pushpull.client import frames
from pushpull.errors import PushpullError
from pushpull.model import Edited


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A stored message. `body` is whatever JSON the sender gave; `sender` is None when the service itself sent it."""

    cid: str
    id: str
    seq: int
    ts: int  # ms, the service's clock
    sender: str | None
    cmid: str
    kind: str
    body: Any
    quiet: bool = False
    mentions: tuple[str, ...] = ()
    ref: int | None = None
    edited: Edited | None = None


def message_of(cid: str, item: frames.Item) -> Message:
    """The item of a page of conversation `cid`, as the message a caller sees."""
    return Message(
        cid=cid,
        id=item.id,
        seq=item.seq,
        ts=item.ts,
        sender=item.sender,
        cmid=item.cmid,
        kind=item.kind,
        body=item.body,
        quiet=item.quiet,
        mentions=item.mentions,
        ref=item.ref,
        edited=Edited(item.edited.seq, item.edited.ts) if item.edited is not None else None,
    )


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Older messages, ascending; `more`: there are older ones still. `floor`: the oldest seq that is kept."""

    messages: tuple[Message, ...]
    floor: int
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """The conversation continues from `pos`.

    `diverged`: throw away what is held above `pos` (own messages among it are sent again by themselves).
    `trimmed`: keep what is held; between it and `pos` something is gone for good.
    `epoch`: another log under the same name; throw everything away.
    """

    cid: str
    reason: str
    pos: str
    epoch: str
    head: int
    floor: int


@dataclass(frozen=True, slots=True)
class CursorsMoved:
    """The user's own cursors, moved by this device or another one of the same user."""

    cid: str
    delivered: int
    read: int
    unread: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """Another member has it delivered or read up to here; None: that one did not move."""

    cid: str
    user: str
    delivered: int | None
    read: int | None


@dataclass(frozen=True, slots=True)
class Signal:
    """Something passing (typing…), never stored."""

    cid: str
    sender: str | None
    body: Any


@dataclass(frozen=True, slots=True)
class Changed:
    """A conversation was `joined`, `left`, `updated` or `deleted`."""

    cid: str
    change: str


@dataclass(frozen=True, slots=True)
class Noticed:
    """There is something up to `head` in a conversation that is not on the screen (`Chat.focus`): it is left there."""

    cid: str
    head: int
    unread: int
    mentioned: bool = False


@dataclass(frozen=True, slots=True)
class Unsent:
    """A message that had been stored, was lost by a failover, and could not be sent again."""

    cid: str
    cmid: str
    error: PushpullError


@dataclass(frozen=True, slots=True)
class Refused:
    """The service refused a frame that nobody waits for (a `read` past the head, a pull)."""

    cid: str | None
    error: PushpullError


Event = Message | Reset | CursorsMoved | Receipt | Signal | Changed | Noticed | Unsent | Refused


@dataclass(slots=True, kw_only=True)
class Conversation:
    """A conversation as the user sees it now, kept up to date while connected. Read it, don't write it."""

    cid: str
    head: int = 0
    floor: int = 1
    delivered: int = 0
    read: int = 0
    joined: int = 0
    unread: int = 0
    mentions: int = 0
    mode: str = "notify"
    notify: str = "all"
    mute_until: int | None = None
    role: str = "member"
    data: Any = field(default=None)
