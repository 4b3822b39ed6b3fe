"""The conversations a device holds: where it stands in each (for the rule) and what its owner sees of each."""

from __future__ import annotations

from typing import NamedTuple

from pushpull.client import frames
from pushpull.client.events import Conversation, Reset
from pushpull.client.frames import Item
from pushpull.client.rule import Position
from pushpull.client.unread import Badge
from pushpull.model import Mode


class Told(NamedTuple):
    """A reset, as far as it tells it from another."""

    reason: str
    pos: str
    epoch: str


class Conversations:
    """All that is kept per conversation. Bounded by the conversations of the user, which the service bounds."""

    def __init__(self) -> None:
        self.conversations: dict[str, Conversation] = {}
        self.positions: dict[str, Position] = {}  # those of this session
        self.told: dict[str, Told] = {}  # the last reset of this session: a row and a frame say the same one
        self._badges: dict[str, Badge] = {}

    def unlist(self) -> None:
        """The session is over: positions come again with the next one's rows."""
        self.positions.clear()
        self.told.clear()

    def forget(self, cid: str) -> None:
        """The user is no member any more, or the conversation is gone."""
        self.conversations.pop(cid, None)
        self.positions.pop(cid, None)
        self.told.pop(cid, None)
        self._badges.pop(cid, None)

    def adopt(self, row: frames.Row, *, pos: str) -> str | None:
        """Hold a listed conversation from `row.start` on. Returns why that is not `pos`, as Position.on_row does."""
        position = self.positions[row.cid] = Position(pos)
        self.update(row)
        return position.on_row(row)

    def update(self, row: frames.Row) -> None:
        """Take over what a row says; the place of the device stays."""
        position = self.positions[row.cid]
        position.mode = row.mode
        if row.mode != Mode.PUSH:
            position.on_notice(row.head)
        self._badges[row.cid] = Badge.stated(unread=row.unread, count=row.count, head=row.head)
        self.conversations[row.cid] = Conversation(
            cid=row.cid,
            head=row.head,
            floor=row.floor,
            delivered=row.delivered,
            read=row.read,
            joined=row.joined,
            unread=row.unread,
            mentions=row.mentions,
            mode=row.mode,
            notify=row.notify,
            mute_until=row.mute_until,
            role=row.role,
            data=row.data,
        )

    def on_items(self, cid: str, items: tuple[Item, ...]) -> None:
        """New messages were received."""
        badge = self._badges[cid]
        for item in items:
            badge.on_message(seq=item.seq, quiet=item.quiet)
        self.conversations[cid].unread = badge.unread

    def on_head(self, cid: str, *, head: int, floor: int) -> None:
        """A frame told the head and the floor; older frames may come late."""
        conversation = self.conversations[cid]
        conversation.head, conversation.floor = max(conversation.head, head), max(conversation.floor, floor)

    def on_notice(self, frame: frames.Notice) -> Conversation:
        """There is something up to `head`. Returns the conversation as it is after it."""
        conversation = self.conversations[frame.cid]
        conversation.head = max(conversation.head, frame.head)
        if frame.mentioned:
            conversation.mentions += 1
        if frame.count is not None:
            badge = self._badges[frame.cid]
            badge.on_notice(head=frame.head, count=frame.count)
            conversation.unread = badge.unread
        return conversation

    def on_reset(self, cid: str, told: Told, *, floor: int | None) -> Reset:
        """The position was reset; `floor` None: as it was. Returns what its owner is told."""
        position, conversation = self.positions[cid], self.conversations[cid]
        conversation.head, conversation.floor = position.head, conversation.floor if floor is None else floor
        self.told[cid] = told
        return Reset(
            cid=cid,
            reason=told.reason,
            pos=position.pos,
            epoch=position.epoch,
            head=position.head,
            floor=conversation.floor,
        )

    def on_cursors(self, frame: frames.Cursors) -> bool:
        """The user's own cursors moved; False for a conversation that is not held."""
        conversation = self.conversations.get(frame.cid)
        if conversation is None:
            return False
        badge = self._badges[frame.cid]
        badge.on_cursors(unread=frame.unread, count=frame.count)
        conversation.delivered, conversation.read = frame.delivered, frame.read
        conversation.unread = badge.unread
        if conversation.unread == 0:
            conversation.mentions = 0
        return True
