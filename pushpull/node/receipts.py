"""Receipts: how far the members of a small conversation are, told to those devices of the others that asked.

Theory of operation. A device asks in its hello; a node says in its heartbeat whether any device of its own has. Cursors
are written as ever; only where somebody asked, here or on another node, the script that writes them also rings the
conversation's bell with what they are now. So no receipt costs a command of its own, and where nobody asks none is
rung. What rings is gathered for delivery.receipts.pause_s and goes out as one frame a member, the newest state of it.
A node that has too much to do rings later: who moved meanwhile is owed, since a member's last move has no next one.

The bell says which members that was true of: while a node has not read as much, its devices wait (node.feed: a removal
may be among what it has not read).

Bounded: MOVED_MAX members wait to be told of, as many to be rung for; who moves beyond that is told of when it moves
again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from itertools import islice
from typing import Final

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.delivery.policy import is_small
from pushpull.delivery.receipts import pause_s
from pushpull.delivery.session import Session
from pushpull.delivery.shedding import Extra
from pushpull.model import Cid, Mode, Uid
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.relief import Relief
from pushpull.settings import Settings
from pushpull.store.passing import ReceiptBell
from pushpull.store.values import NodeRecord

TELL_S: Final = 0.25
MOVED_MAX: Final = 100_000
ROOM: Final = 0.25
"""Of `limits.buffer_bytes`: a device with more than that waiting for it is passed over."""
OWED_PER_TURN: Final = 1000
"""Members rung for in a turn, afterwards: a flush of its own in each of their conversations."""
SLICE: Final = 16  # devices written to between two turns of the loop, up to `push_max_members` frames each


class _Waiting:
    """What is to be told in one conversation, and not before when."""

    __slots__ = ("due_at", "epoch", "moved", "mver")

    def __init__(self, epoch: str, due_at: float) -> None:
        self.epoch = epoch
        self.mver = 0
        self.moved: dict[Uid, tuple[int, int]] = {}  # → delivered, read
        self.due_at = due_at


class Receipts:
    def __init__(
        self, node_id: str, settings: Settings, metrics: Metrics, *, feeds: Feeds, reader: LogReader, relief: Relief
    ) -> None:
        self._node_id = node_id
        self._settings = settings
        self._room = int(settings.limits.buffer_bytes * ROOM)
        self._metrics = metrics
        self._feeds = feeds
        self._reader = reader
        self._relief = relief
        self._asking = 0  # sessions here
        self._asked_elsewhere = False
        self._waiting: dict[Cid, _Waiting] = {}
        self._size = 0  # members in all of `_waiting`
        self._owed: dict[tuple[Cid, Uid], None] = {}  # in order

    # ------------------------------------------------------------------------------------------------ who asks

    def opened(self, session: Session) -> None:
        self._asking += session.receipts

    def left(self, session: Session) -> None:
        self._asking -= session.receipts

    @property
    def wanted(self) -> bool:
        """Whether any device here asked: other nodes must know."""
        return self._asking > 0

    def noted(self, alive: Iterable[NodeRecord]) -> None:
        """These nodes live, and say so much of themselves."""
        self._asked_elsewhere = any(node.info.get("receipts") for node in alive if node.id != self._node_id)

    def asked(self, cid: Cid, who: Iterable[Uid]) -> bool:
        """Whether the bell is to be rung when these move in `cid`: now, or `take_owed` will name them.

        Called for each conversation of a flush.
        """
        if not self._asking and not self._asked_elsewhere:
            return False
        feed = self._feeds.get(cid)
        if feed is not None and not (self._has_receipts(feed) and (self._asked_elsewhere or _askers(feed))):
            return False
        if feed is None and not self._asked_elsewhere:
            return False
        if self._relief.sheds(Extra.RECEIPT):
            self._owe(cid, who)
            return False
        return True

    def _owe(self, cid: Cid, who: Iterable[Uid]) -> None:
        for uid in who:
            if len(self._owed) < MOVED_MAX:
                self._owed[cid, uid] = None

    def take_owed(self) -> list[tuple[Cid, Uid]]:
        """Who moved where while this node was too busy to ring: ring now. Nobody while it still is."""
        if not self._owed or self._relief.sheds(Extra.RECEIPT):
            return []
        taken = list(islice(self._owed, OWED_PER_TURN))
        for each in taken:
            del self._owed[each]
        return taken

    def _has_receipts(self, feed: Feed) -> bool:
        return feed.mode is Mode.PUSH and is_small(feed.head.members, self._settings.delivery)

    # ------------------------------------------------------------------------------------------------ heard, told

    def heard(self, bell: ReceiptBell) -> None:
        """Gather what it says for the devices here."""
        feed = self._feeds.get(bell.cid)
        if feed is None or not self._has_receipts(feed) or not _askers(feed):
            return
        if not feed.knows(bell.epoch, bell.mver) and not feed.doubted:
            self._reader.mark_stale(feed)
        waiting = self._waiting.get(bell.cid)
        if waiting is None or waiting.epoch != bell.epoch:
            self._drop(bell.cid)
            waiting = self._waiting[bell.cid] = _Waiting(bell.epoch, waiting.due_at if waiting else 0.0)
        waiting.mver = max(waiting.mver, bell.mver)
        self._size -= len(waiting.moved)
        for uid, delivered, read in bell.moved:
            if uid in waiting.moved or self._size + len(waiting.moved) < MOVED_MAX:
                waiting.moved[uid] = delivered, read
        self._size += len(waiting.moved)

    async def tell_waiting(self) -> None:
        """Tell what is due. Call every TELL_S."""
        if not self._size or not self._relief.sheds(Extra.RECEIPT):
            for cid, waiting in list(self._waiting.items()):
                if waiting.due_at <= time.monotonic():
                    await self._tell(cid, waiting)

    async def _tell(self, cid: Cid, waiting: _Waiting) -> None:
        feed = self._feeds.get(cid)
        if not waiting.moved or feed is None or feed.head.epoch != waiting.epoch:
            self._drop(cid)
        elif not feed.held and feed.knows(waiting.epoch, waiting.mver):  # else at the next turn
            moved, waiting.moved = waiting.moved, {}
            self._size -= len(moved)
            askers = _askers(feed)
            waiting.due_at = time.monotonic() + pause_s(len(moved) * len(askers))
            told = {uid: frames.receipt(cid, uid, delivered=at[0], read=at[1]) for uid, at in moved.items()}
            await self._write_all(feed, askers, told)

    async def _write_all(self, feed: Feed, askers: list[Place], told: dict[Uid, bytes]) -> None:
        for n, place in enumerate(askers, 1):
            if feed.held:
                return  # somebody was removed meanwhile, and it is not known yet who
            if place.attached and place.connection.buffered <= self._room:
                self._write(place, told)
            if n % SLICE == 0:
                await asyncio.sleep(0)

    def _write(self, place: Place, told: dict[Uid, bytes]) -> None:
        for uid, frame in told.items():
            if uid != place.device.uid:
                place.connection.write_soon(frame)
                self._metrics.receipts.inc()

    def _drop(self, cid: Cid) -> None:
        waiting = self._waiting.pop(cid, None)
        if waiting is not None:
            self._size -= len(waiting.moved)


def _askers(feed: Feed) -> list[Place]:
    return [place for place in (*feed.pushed, *feed.gathered) if place.device.receipts]
