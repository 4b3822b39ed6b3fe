"""The conversation list of one session: page by page, each listed conversation live from its page on.

A page: the user's next conversations, their feeds opened together, their rows read in one pipeline. Then, in one
step of the loop, the session is attached to each and the `sync` frame written, so that nothing can slip in between
a row and the first live message after it.

One thing at a time: a conversation that is joined while a page is being read would otherwise be told twice, the
second time with a start that is not where the device stands by then. One that the list has not come to yet is left
to its page.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from pushpull.delivery import client_frames, frames
from pushpull.delivery.place import Place
from pushpull.delivery.session import Phase, Session
from pushpull.model import Cid, Head, LogId, Row, ts_of
from pushpull.node.feed import Feed
from pushpull.node.history import oldest_for
from pushpull.node.parts import Parts
from pushpull.node.rows import row_fragment, row_json
from pushpull.store.values import RowRequest

log = logging.getLogger(__name__)

PAGE: Final = 100
DELETED: Final = "deleted"


class Listing:
    def __init__(self, parts: Parts, session: Session, hello: client_frames.Hello) -> None:
        self._parts = parts
        self._session = session
        self._unnamed = hello.unnamed
        self._max_backlog = hello.max_backlog
        # Where the device stands, until the list has come to each conversation. Bounded by the size of the hello.
        self._positions = {Cid(cid): LogId(log_id) for cid, log_id in hello.positions.items()}
        self._turn = asyncio.Lock()
        self._listed = Cid("")  # the list has come so far, by name
        self._complete = False

    async def page(self, after: Cid | None, rid: client_frames.Rid) -> None:
        """Attach the next page of conversations and write its `sync`. Raises PushpullError."""
        async with self._turn:
            await self._page(after, rid)

    async def _page(self, after: Cid | None, rid: client_frames.Rid) -> None:
        cids, following = await self._parts.store.conversations.listed(self._session.uid, after=after, limit=PAGE)
        found = await self._rows(cids)
        if self._session.phase is not Phase.OPEN:
            return
        rows, fresh = [], []
        for feed, row in found:
            place = self._session.places.get(feed.cid)
            if place is None:
                self._say_deleted(row)
                place = self._attach(feed, row)
                fresh.append((place, feed, row))
            # One that asks for a page again begins where it is known to stand.
            rows.append(row_fragment(row, place.mode, place.window.acked_id))
        self._write(frames.sync(rows, following, rid))
        self._begin_all(fresh)
        self._listed = max(self._listed, following or self._listed)
        if following is None:
            self._complete = True
            self._say_what_was_left()

    async def join(self, cid: Cid) -> None:
        """The user became a member while connected: attach, say so with the row."""
        async with self._turn:
            if self._complete or cid <= self._listed:
                await self._join(cid)

    async def _join(self, cid: Cid) -> None:
        if cid in self._session.places:
            return
        found = await self._rows([cid])
        if self._session.phase is not Phase.OPEN:
            return
        for feed, row in found:
            self._say_deleted(row)
            place = self._attach(feed, row)
            self._write(frames.conversation(cid, "joined", row_json(row, place.mode)))
            self._begin_all([(place, feed, row)])

    async def catch_up(self) -> None:
        """Attach to every conversation of the user that this session is not attached to."""
        after: Cid | None = None
        while True:
            cids, after = await self._parts.store.conversations.listed(self._session.uid, after=after, limit=PAGE)
            for cid in cids:
                if cid not in self._session.places:
                    await self.join(cid)
            if after is None:
                return

    async def _rows(self, cids: list[Cid]) -> list[tuple[Feed, Row]]:
        """The feeds and rows of those that the user is a member of, in the order of `cids`."""
        if not cids:
            return []
        found = await self._read_rows(cids)
        # A feed that has checked its members after a row was read did not meet this session yet: was it one of them?
        # And one that was closed meanwhile, Redis being slow, hears nothing any more.
        while wanted := [row.cid for feed, row in found if not self._is_current(feed, row.head)]:
            current = {row.cid: (feed, row) for feed, row in found if row.cid not in wanted}
            current |= {row.cid: (feed, row) for feed, row in await self._read_rows(wanted)}
            found = [current[cid] for cid in cids if cid in current]
        return found

    async def _read_rows(self, cids: list[Cid]) -> list[tuple[Feed, Row]]:
        feeds = await self._parts.feeds.open(cids)
        wanted = [RowRequest(cid, self._positions.get(cid)) for cid in cids]
        rows = await self._parts.store.conversations.rows(
            self._session.uid,
            wanted,
            unnamed=self._unnamed,
            max_backlog=self._max_backlog,
            device=self._session.device,
        )
        await self._note_divergence(rows)
        stale = [cid for cid, row in zip(cids, rows, strict=True) if row is None]
        if stale:
            await self._parts.store.conversations.forget_hint(self._session.uid, stale)
        return [(feed, row) for row in rows if row is not None and (feed := feeds.get(row.cid)) is not None]

    def _is_current(self, feed: Feed, read: Head) -> bool:
        """Whether what was read is no older than what the feed knows of members and settings, and the feed is open."""
        known = feed.head
        outdated = read.mver < known.mver and read.epoch == known.epoch
        return not outdated and self._parts.feeds.get(feed.cid) is feed

    async def _note_divergence(self, rows: Sequence[Row | None]) -> None:
        """Move the epoch of a log that this device finds to have lost its tail, unless that is known already.

        It is known where the epoch, the ms at which it began, is later than the entry that the device holds.
        """
        for row in rows:
            if row is None or row.reset != "diverged":
                continue
            held = self._positions.get(row.cid)
            if held is not None and ts_of(held) >= int(row.head.epoch):
                epoch = await self._parts.store.log.move_epoch(row.cid, row.head.epoch)
                feed = self._parts.feeds.get(row.cid)
                if feed is not None:
                    feed.set_epoch(epoch)

    def _attach(self, feed: Feed, row: Row) -> Place:
        # The feed's own objects where they are equal: a place holds on to them for as long as it lives.
        start = feed.tail.head_id if row.start == feed.tail.head_id else row.start
        place = self._session.attach(feed.cid, start, oldest=oldest_for(row.head, row.joined))
        place.told = row.cursors
        self._parts.hub.attach(feed, place)
        return place

    def _begin_all(self, fresh: Sequence[tuple[Place, Feed, Row]]) -> None:
        """The device has been told of these conversations: give it what it lacks."""
        for place, feed, row in fresh:
            self._positions.pop(feed.cid, None)
            if row.reset is not None and row.reset != DELETED:
                self._parts.hub.reset(feed, place, row.reset, row.start)
            elif row.delivered_before is not None and row.delivered_before < row.delivered:
                # The device holds more than it was known to: its last acks were lost with its last connection. The row
                # said so to itself; the user's other devices hear it now.
                self._parts.cursor_news.moved(feed.cid, self._session.uid, row.cursors)
                # The others hear it with a move that moves nothing more.
                if self._parts.receipts.asked(feed.cid, (self._session.uid,)):
                    self._parts.cursors.move(feed.cid, self._session.uid, delivered=str(row.delivered))
            self._parts.hub.settle(feed, place)

    def _say_deleted(self, row: Row) -> None:
        """What the device holds is of a conversation that was deleted before this one was made under the same name.

        Said ahead of the row, which then shows it one that it never held.
        """
        if row.reset == DELETED:
            self._write(frames.conversation(row.cid, DELETED))

    def _say_what_was_left(self) -> None:
        for cid in self._positions:
            if cid not in self._session.places:
                self._write(frames.conversation(cid, "left"))
        self._positions.clear()

    def _write(self, data: bytes) -> None:
        self._session.connection.write(data)
