"""What the service says over WebSocket: one struct for each frame. The AsyncAPI document is made of these.

They describe bytes that `delivery.frames` puts together; nothing is encoded through them. A field that a frame has only
sometimes may be UNSET; a client ignores fields, reasons and changes that it does not know.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from pushpull.web.answers import HistoryPage, MessagesPage, RowAnswer

Rid = str | int | UnsetType


class Acking(msgspec.Struct, kw_only=True):
    """How long, and for how many messages, an ack may wait for others."""

    delay_ms: int
    max: int


class SessionLimits(msgspec.Struct, kw_only=True):
    """What one session may do; bytes, and per second."""

    frame_bytes: int
    body_bytes: int
    mentions: int
    page: int
    frames_per_s: float
    sends_per_s: float
    signal_bytes: int
    signals_per_s: float
    idempotency_s: int


class Welcome(msgspec.Struct, kw_only=True, tag_field="type", tag="welcome"):
    """The session is open; the first `sync` follows. Times are ms since 1970 by the service's clock."""

    session: str
    user: str
    device: str
    node: str
    time: int
    heartbeat_s: float
    features: list[str]
    ack: Acking
    limits: SessionLimits
    expires_at: int | UnsetType = UNSET
    rid: Rid = UNSET


class ListPage(msgspec.Struct, kw_only=True, tag_field="type", tag="sync"):
    """A page of the conversation list; what is on it is live from here on. `next`: ask for more after it; null: all."""

    conversations: list[RowAnswer]
    next: str | None
    rid: Rid = UNSET


class Messages(MessagesPage, kw_only=True, tag_field="type", tag="messages"):
    """Messages with `after < seq <= upto`: a push, an inline notice, a redelivery or the answer to a forward `pull`."""

    redelivery: int | UnsetType = UNSET


class History(HistoryPage, kw_only=True, tag_field="type", tag="history"):
    """The answer to a backward `pull`: messages before `before`, oldest first. It moves no position."""

    rid: Rid = UNSET


class Notice(msgspec.Struct, kw_only=True, tag_field="type", tag="notice"):
    """There is something up to `head`; `mentioned`, where it is there, that it mentions this user."""

    cid: str
    head: int
    count: int
    mentioned: Literal[True] | UnsetType = UNSET


class Stored(msgspec.Struct, kw_only=True, tag_field="type", tag="sent"):
    """The message is stored, at this log id; `dup`: by an earlier try. It moves no position."""

    cid: str
    cmid: str
    id: str
    dup: bool
    rid: Rid = UNSET


class OwnCursors(msgspec.Struct, kw_only=True, tag_field="type", tag="cursors"):
    """The user's own cursors moved, by any of its devices."""

    cid: str
    delivered: int
    read: int
    unread: int
    count: int


class SaidSignal(msgspec.Struct, kw_only=True, tag_field="type", tag="signal"):
    """Something passing that a member said."""

    cid: str
    sender: str = msgspec.field(name="from")
    body: msgspec.Raw


class Receipt(msgspec.Struct, kw_only=True, tag_field="type", tag="receipt"):
    """How far another member is: only to devices that asked for it in `hello`."""

    cid: str
    user: str
    delivered: int
    read: int


class Reset(msgspec.Struct, kw_only=True, tag_field="type", tag="reset"):
    """The log cannot be followed from where the device stood: go on from `pos`."""

    cid: str
    reason: Literal["diverged", "trimmed", "epoch"]
    epoch: str
    pos: str
    head: int
    floor: int


class Changed(msgspec.Struct, kw_only=True, tag_field="type", tag="conversation"):
    """A conversation came to this user, changed, or is no longer the user's; `row` with `joined`."""

    cid: str
    change: Literal["joined", "left", "updated", "deleted"]
    row: RowAnswer | UnsetType = UNSET


class Refused(msgspec.Struct, kw_only=True, tag_field="type", tag="error"):
    """One frame was not taken; the session lives on. Act on `code` and `temporary`."""

    code: str
    message: str
    temporary: bool
    cid: str | UnsetType = UNSET
    cmid: str | UnsetType = UNSET
    retry_after_ms: int | UnsetType = UNSET
    rid: Rid = UNSET


class Drain(msgspec.Struct, kw_only=True, tag_field="type", tag="drain"):
    """This node goes away: connect anew, at a random moment of the `jitter_ms` after `after_ms`."""

    after_ms: int
    jitter_ms: int


class SaidPing(msgspec.Struct, kw_only=True, tag_field="type", tag="ping"):
    """Is somebody there? Answer `pong`."""


class SaidPong(msgspec.Struct, kw_only=True, tag_field="type", tag="pong"):
    """The answer to a `ping`, with its `t`."""

    t: int | float | str | UnsetType = UNSET
    rid: Rid = UNSET


ServiceFrame = (
    Welcome
    | ListPage
    | Messages
    | History
    | Notice
    | Stored
    | OwnCursors
    | SaidSignal
    | Receipt
    | Reset
    | Changed
    | Refused
    | Drain
    | SaidPing
    | SaidPong
)
