"""Notices: there is something up to here, come and get it.

The first message after a quiet spell rings at once, then there is at most one pass per `notify_interval_ms` and
conversation, however many messages came. A pass is sliced over the interval, so that those who pull on it do not
come all together. A session whose last bytes have not left its buffer is passed over and rung at the next pass.

A small message rides inline, as a `messages` frame, to those who stand exactly at its `after`.
Mentions cut through: the one who is mentioned is rung at once, with `mentioned`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.delivery.policy import next_interval_s
from pushpull.delivery.tail import Page
from pushpull.model import Mode
from pushpull.node.background import Background
from pushpull.node.feed import Feed
from pushpull.node.metrics import Metrics
from pushpull.settings import Delivery

SLICE: Final = 256
SPREAD: Final = 0.8  # of the interval: the pass is over before the next is due


class Notices:
    def __init__(self, settings: Delivery, metrics: Metrics, background: Background) -> None:
        self._delivery = settings
        self._interval_s = settings.notify_interval_ms / 1000
        self._metrics = metrics
        self._background = background
        self._wide_s = self._interval_s  # of groups over SLICE; widens while the node is busy
        self._rang_widely = False  # since the load was last looked at
        self._waiting: dict[Feed, asyncio.Event] = {}  # feeds between two passes; set: the next one may not wait

    def adapt(self, load: float) -> None:
        """Take the node's load, 0 to 1, of the last second into account, where large groups had a part in it."""
        load = load if self._rang_widely else 0.0
        self._rang_widely = False
        self._wide_s = next_interval_s(self._wide_s, load=load, settings=self._delivery)
        self._metrics.notify_interval.set(self._wide_s)

    def _interval_of(self, feed: Feed) -> float:
        return self._wide_s if len(feed.noticed) > SLICE else self._interval_s

    def ring(self, feed: Feed) -> None:
        """The feed has news for those who are notified."""
        if not feed.noticing:
            feed.noticing = True
            self._background.spawn(self._passes(feed), f"notices {feed.cid}")
        elif feed.mentioned_all and feed in self._waiting:
            self._waiting[feed].set()

    def ring_one(self, feed: Feed, place: Place, *, mentioned: bool = False) -> None:
        """Notify one place at once: it is behind as it attaches, or it was mentioned."""
        frame = frames.notice(feed.cid, head=feed.head.seq, count=feed.head.count, mentioned=mentioned)
        place.notified = feed.head.seq
        place.connection.write(frame)
        self._metrics.notices.inc()

    async def _passes(self, feed: Feed) -> None:
        """Pass after pass until nothing is owed; at most one an interval, but for a mention of everyone."""
        try:
            owed = True
            while owed and feed.noticed and not (feed.deleted or feed.held):
                wait_s = feed.last_pass + self._interval_of(feed) - time.monotonic()
                if wait_s > 0 and not feed.mentioned_all:
                    await self._wait(feed, wait_s)
                feed.last_pass = feed.used_at = time.monotonic()
                owed = await self._pass(feed)
        finally:
            feed.noticing = False

    async def _wait(self, feed: Feed, wait_s: float) -> None:
        """Wait for the next pass; a mention of everyone cuts it short."""
        hurry = self._waiting[feed] = asyncio.Event()
        try:
            await asyncio.wait_for(hurry.wait(), wait_s)
        except TimeoutError:
            pass
        finally:
            del self._waiting[feed]

    async def _pass(self, feed: Feed) -> bool:
        """Ring everyone who is behind; True when some are still owed a notice.

        Each slice is told the head of its own moment, so that nobody waits longer than one interval. What comes
        while the round goes on is owed to the slices that were rung before it.
        """
        begun = feed.head.seq
        mentioned, feed.mentioned_all = feed.mentioned_all, False
        places = tuple(feed.noticed)
        self._rang_widely |= len(places) > SLICE
        pause_s = self._interval_of(feed) * SPREAD / max(1, -(-len(places) // SLICE))
        skipped = False
        generation = feed.generation
        for first in range(0, len(places), SLICE):
            if feed.held or feed.generation != generation:
                return True  # what was cut is of a log that is no more
            skipped |= self._ring_slice(feed, places[first : first + SLICE], mentioned)
            if first + SLICE < len(places):
                await asyncio.sleep(pause_s)
        return skipped or begun < feed.head.seq

    def _ring_slice(self, feed: Feed, places: Sequence[Place], mentioned: bool) -> bool:
        """Ring these places; True when some were passed over."""
        head = feed.told = feed.head.seq
        notice = frames.notice(feed.cid, head=head, count=feed.head.count, mentioned=mentioned)
        page, inline = (None, b"") if mentioned else self._inline(feed, places[0].window.sent, head)
        skipped = False
        for place in places:
            skipped |= self._ring_place(place, head, notice, page, inline)
        return skipped

    def _inline(self, feed: Feed, after: int, head: int) -> tuple[Page | None, bytes]:
        """The frame (after, head] when it is small enough to ride along."""
        limit = self._delivery.inline_max_bytes
        page = feed.tail.page(after, limit=self._delivery.page_limit, max_bytes=limit)
        if page is None or not page.items or page.upto != head or sum(map(len, page.items)) > limit:
            return None, b""
        return page, feed.frame(page, head=head)

    def _ring_place(self, place: Place, head: int, notice: bytes, page: Page | None, inline: bytes) -> bool:
        """Ring one place; True when it is owed a notice and could not take it."""
        if not place.attached or place.window.sent >= head or place.notified >= head or place.mode is not Mode.NOTIFY:
            return False
        connection = place.connection
        if connection.buffered:
            return True
        if page is not None and place.window.sent == page.after:
            connection.write(inline)
            place.window.hand(page.upto, page.upto_id)
            self._metrics.deliveries.inc(len(page.items))
        else:
            connection.write(notice)
            self._metrics.notices.inc()
        place.notified = head
        return False
