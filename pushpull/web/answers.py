"""What the calls answer: one struct for each body. The OpenAPI document is made of these.

Those of messages, rows, nodes and pending ranges describe what the node has as JSON or as plain values already;
nothing is encoded through them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pushpull.web.problems import Problem

ModeName = Literal["push", "notify"]


class SettingsAnswer(msgspec.Struct, kw_only=True):
    """A conversation's settings; null: as the service's settings say."""

    mode: str
    push_window_ms: int | None
    history: str
    offline: str | None
    retain_messages: int | None
    retain_days: int | None
    sends_per_s: float | None
    data: Any


class WayAnswer(msgspec.Struct, kw_only=True):
    """How a conversation reaches some of its sessions, and why."""

    way: Literal["pushed", "gathered", "notified", "told"]
    mode: ModeName
    why: str


class ConversationAnswer(msgspec.Struct, kw_only=True):
    """A conversation. `mode` is the one in force and `why` the reason; `members` is how many. `on_screen` and
    `off_screen` are for sessions that say what they look at, `rate` is messages a second as this node sees them."""

    cid: str
    head: int
    floor: int
    epoch: str
    count: int
    members: int
    settings: SettingsAnswer
    mode: ModeName
    why: str
    on_screen: WayAnswer
    off_screen: WayAnswer
    rate: float


class MembersChanged(msgspec.Struct, kw_only=True):
    """How many joined, changed role and left; `members` is how many there are now."""

    added: int
    updated: int
    removed: int
    members: int


class MemberAnswer(msgspec.Struct, kw_only=True):
    user: str
    role: str
    joined: int
    delivered: int
    read: int


class MembersAnswer(msgspec.Struct, kw_only=True):
    """`next` is the `after` of the next page; null: this was the last."""

    members: list[MemberAnswer]
    next: str | None


class SentAnswer(msgspec.Struct, kw_only=True):
    cid: str
    cmid: str
    id: str
    dup: bool


class OutcomeAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one message of a batch: `id` and `dup` where it is stored, else `error`."""

    cid: str | None = None  # absent where it could not be read
    cmid: str | None = None
    id: str | None = None
    dup: bool | None = None
    error: Problem | None = None


class EditedAnswer(msgspec.Struct, kw_only=True):
    seq: int
    ts: int


class Item(msgspec.Struct, kw_only=True):
    """A message. `from` is absent where the service itself sent it."""

    id: str
    seq: int
    ts: int
    cmid: str
    kind: str
    body: msgspec.Raw
    sender: str | UnsetType = msgspec.field(default=UNSET, name="from")
    quiet: bool = False
    mentions: list[str] = []
    ref: int | UnsetType = UNSET
    edited: EditedAnswer | UnsetType = UNSET


class MessagesPage(msgspec.Struct, kw_only=True, tag_field="type", tag="messages"):
    """Every message with `after < seq <= upto`; one missing between was redacted."""

    cid: str
    after: int
    upto: int
    upto_id: str
    items: list[Item]
    head: int
    floor: int


class HistoryPage(msgspec.Struct, kw_only=True, tag_field="type", tag="history"):
    """The messages before `before`, oldest first; `more`: there are older ones."""

    cid: str
    before: int
    items: list[Item]
    floor: int
    more: bool


class CursorsAnswer(msgspec.Struct, kw_only=True):
    cid: str
    user: str
    delivered: int
    read: int
    unread: int
    count: int


class ReceiptsAnswer(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How many members have the message delivered and read; who, while the conversation is small."""

    cid: str
    seq: int
    delivered: int
    read: int
    delivered_by: list[str] | None = None
    read_by: list[str] | None = None


class PresenceAnswer(msgspec.Struct, kw_only=True):
    """How many members there are, and who of them is connected."""

    cid: str
    members: int
    connected: list[str]


class BehindAnswer(msgspec.Struct, kw_only=True):
    """A member, and how many messages it lacks."""

    user: str
    count: int


class RangeAnswer(msgspec.Struct, kw_only=True):
    """What a member's device lacks, seqs `first` to `last`; `delivery_count` 0: nothing of it was sent to it yet."""

    user: str
    device: str
    session: str
    first: int
    last: int
    idle_ms: int
    delivery_count: int


class PendingAnswer(msgspec.Struct, kw_only=True):
    """Without `limit` the summary, with it the rows. `min` and `max` are null where nothing is lacking."""

    count: int | UnsetType = UNSET
    min: int | UnsetType | None = UNSET
    max: int | UnsetType | None = UNSET
    consumers: list[BehindAnswer] | UnsetType = UNSET
    rows: list[RangeAnswer] | UnsetType = UNSET


class RowAnswer(msgspec.Struct, kw_only=True):
    """A conversation as one user has it."""

    cid: str
    epoch: str
    head: int
    floor: int
    start: str
    delivered: int
    read: int
    joined: int
    unread: int
    count: int
    mentions: int
    mode: ModeName
    notify: str
    role: str
    mute_until: int | UnsetType = UNSET
    data: Any = UNSET


class ConversationsAnswer(msgspec.Struct, kw_only=True):
    """`next` is the `after` of the next page; null: this was the last."""

    conversations: list[RowAnswer]
    next: str | None


class UnreadAnswer(msgspec.Struct, kw_only=True):
    """Unread messages, the conversations they are in, and how many of them mention the user."""

    total: int
    conversations: int
    mentions: int


class SessionAnswer(msgspec.Struct, kw_only=True):
    """`connected_at` is ms since 1970."""

    id: str
    user: str
    device: str
    node: str
    client: str
    connected_at: int


class SessionsAnswer(msgspec.Struct, kw_only=True):
    sessions: list[SessionAnswer]


class Counted(msgspec.Struct):
    """How many of them are done; `total` null: they are still being looked for."""

    done: int
    total: int | None


class DeletionAnswer(msgspec.Struct, kw_only=True):
    """How a user's deletion stands; `none`: nobody asked for one, or it ended over a week ago. `redacted` counts
    entries of logs, edits and reactions among them; `error`: what keeps it from going on. Times are ms since 1970."""

    user: str
    state: Literal["none", "waiting", "running", "done", "failed"]
    messages: Literal["keep", "redact"] | None
    conversations: Counted
    redacted: int
    asked: int | None
    started: int | None
    ended: int | None
    error: str | None


class RevokedAnswer(msgspec.Struct, kw_only=True):
    user: str
    revoked_before: int
