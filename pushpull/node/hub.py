"""Fan-out: from a feed's tail to the sockets of the sessions attached to it.

Push. The frame (fanned, head] is encoded once and the same bytes go to every place that stands exactly at its
`after`, has room in its window and a buffer that takes it. Any other place lags: it gets its backlog batch by batch,
each after the ack of the last (`settle`), until it stands at the head again.

Large groups go in slices of SLICE receivers, between which the loop does other work; a feed never fans out twice at
a time, so what arrives meanwhile travels in the next frame. This is the hot path.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.delivery.session import OVERLOADED
from pushpull.delivery.tail import Page
from pushpull.errors import PushpullError
from pushpull.model import LogId, Mode, ts_of
from pushpull.node.background import Background
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.notices import Notices
from pushpull.node.redeliveries import Redeliveries
from pushpull.node.windows import Windows
from pushpull.settings import Settings

log = logging.getLogger(__name__)

SLICE: Final = 256
"""Receivers between two turns of the loop: about 2 ms of work, so that pings and acks are not kept waiting."""


class Hub:
    def __init__(
        self, settings: Settings, metrics: Metrics, *, feeds: Feeds, reader: LogReader, background: Background
    ) -> None:
        self._settings = settings
        self._background = background
        self._delivery = settings.delivery
        self._metrics = metrics
        self._feeds = feeds
        self._reader = reader
        self.windows = Windows(settings.delivery.max_windows)
        self._full: dict[Place, None] = {}  # lagging, and no ack is to come; bounded by the places
        self.notices = Notices(settings.delivery, metrics, background)
        self.redeliveries = Redeliveries(
            settings,
            metrics,
            windows=self.windows,
            feeds=feeds,
            reader=reader,
            background=background,
            trimmed=self._start_at_the_floor,
        )
        self.settled_window: Callable[[Place], None] = lambda place: None  # acked after a redelivery

    # ------------------------------------------------------------------------------------------------ live

    def news(self, feed: Feed) -> None:
        """The feed's tail grew: hand the news to its places."""
        if feed.held:
            return
        if not feed.pushed:
            feed.fanned = feed.tail.head
        elif not feed.fanning:
            if len(feed.pushed) <= SLICE:
                self._push_at_once(feed)
            else:
                feed.fanning = True
                self._background.spawn(self._push_in_slices(feed), f"fan-out {feed.cid}")
        if feed.noticed:
            self.notices.ring(feed)
        else:
            feed.told = feed.tail.head

    def release(self, feed: Feed) -> None:
        """What was held may go out: to whoever lags, who stands below what was fanned out, and to all the rest."""
        for place in tuple(feed.pushed):
            if place.lagging or place.window.sent < feed.fanned:
                self.settle(feed, place)
        for place in tuple(feed.noticed):
            if place.notified > feed.head.seq:
                place.notified = 0  # it was told of a head that was lost
            self.trimmed(feed, place)
        self.news(feed)

    def _push_at_once(self, feed: Feed) -> None:
        while (page := self._next_page(feed)) is not None:
            self._hand_slice(tuple(feed.pushed), page, feed.frame(page))
            self._fanned(feed, page)

    async def _push_in_slices(self, feed: Feed) -> None:
        try:
            while (page := self._next_page(feed)) is not None:
                if await self._push_page(feed, page):
                    self._fanned(feed, page)
        finally:
            feed.fanning = False

    async def _push_page(self, feed: Feed, page: Page) -> bool:
        """Hand `page` to every place; False when the log turned out to be another on the way."""
        frame, generation = feed.frame(page), feed.generation
        places = tuple(feed.pushed)
        for first in range(0, len(places), SLICE):
            self._hand_slice(places[first : first + SLICE], page, frame)
            await asyncio.sleep(0)
            if feed.held or feed.generation != generation:
                return False
        return True

    def _next_page(self, feed: Feed) -> Page | None:
        """The next page to fan out; None when all is out, or nothing may go out now."""
        if feed.fanned >= feed.tail.head or feed.held:
            return None
        page = feed.tail.page(feed.fanned, limit=self._delivery.page_limit, max_bytes=self._delivery.page_bytes)
        if page is None:  # more came in one read than the tail holds: every place goes by its backlog
            feed.fanned = feed.tail.head
            for place in tuple(feed.pushed):
                place.lagging = True
                self.settle(feed, place)
        return page

    def _hand_slice(self, places: Sequence[Place], page: Page, frame: bytes) -> None:
        now = time.monotonic()
        handed = sum(self._hand(place, page, frame, now) for place in places)
        self._metrics.deliveries.inc(handed * len(page.items))

    def _hand(self, place: Place, page: Page, frame: bytes, now: float) -> bool:
        """Hand one shared frame to one place, or let the place lag. The innermost part of the hot path."""
        window = place.window
        if window.sent >= page.upto or place.mode is not Mode.PUSH or not place.attached:
            return False
        connection = place.connection
        if (
            window.sent != page.after
            or place.lagging
            or window.room(self._delivery.max_ack_pending) < page.upto - page.after
            or connection.buffered > self._settings.limits.buffer_bytes
        ):
            place.lagging = True
            if not window.outstanding:
                self._full[place] = None  # no ack is to come that would bring it back
            return False
        connection.write(frame)
        self._extend(place, page, now)
        return True

    def _fanned(self, feed: Feed, page: Page) -> None:
        feed.fanned = page.upto
        feed.used_at = time.monotonic()
        self._metrics.delivery_seconds.observe(max(0.0, time.time() - ts_of(page.upto_id) / 1000))

    # ------------------------------------------------------------------------------------------------ backlog

    def settle(self, feed: Feed, place: Place) -> None:
        """Give a place what it lacks: in push the next batch once nothing is outstanding, in notify a notice."""
        if feed.deleted or feed.held:
            return
        self.trimmed(feed, place)
        if place.window.sent >= feed.tail.head:
            place.lagging = False
        elif place.mode is Mode.NOTIFY:
            self.notices.ring_one(feed, place)
        else:
            self._send_backlog(feed, place)

    def _send_backlog(self, feed: Feed, place: Place) -> None:
        place.lagging = True
        if place.window.outstanding:
            return  # the ack to come brings us back here
        if place.fetching or place.pulling or place.connection.buffered > self._settings.limits.buffer_bytes:
            self._full[place] = None
            return
        page = feed.tail.page(
            place.window.sent, limit=self._delivery.max_ack_pending, max_bytes=self._delivery.page_bytes
        )
        if page is not None:
            self._hand_batch(feed, place, page)
        else:
            place.fetching = True
            self._background.spawn(self._fetch_backlog(feed, place), f"backlog {feed.cid}")

    def settle_full(self) -> None:
        """Try those again whose buffers were full, or that were busy reading. Call several times a second."""
        waiting, self._full = self._full, {}
        for place in waiting:
            feed = self._feeds.get(place.cid)
            if feed is not None and place.attached:
                self.settle(feed, place)

    async def _fetch_backlog(self, feed: Feed, place: Place) -> None:
        after = place.window.sent
        try:
            page = await self._reader.page(
                feed, after, limit=self._delivery.max_ack_pending, max_bytes=self._delivery.page_bytes
            )
        except PushpullError as problem:
            # The device is live and owed this: with its connection gone it comes back and is served then.
            log.warning("backlog of %s could not be read: %s", feed.cid, problem.message)
            place.connection.close(OVERLOADED, "the log cannot be read now")
            return
        finally:
            place.fetching = False
        if not place.attached or feed.held:
            return
        self.trimmed(feed, place)
        if page.upto > feed.tail.head:
            # More than the feed has heard of, and perhaps that this member was removed before it.
            self._reader.mark_stale(feed)
            self._full[place] = None
        elif place.window.sent == after and place.mode is Mode.PUSH and not place.window.outstanding:
            self._hand_batch(feed, place, page)
        else:
            self.settle(feed, place)

    def _hand_batch(self, feed: Feed, place: Place, page: Page) -> None:
        now = time.monotonic()
        place.connection.write(feed.frame(page))
        self._extend(place, page, now)
        self._metrics.deliveries.inc(len(page.items))
        if page.upto >= feed.tail.head:
            place.lagging = False

    def pulled(self, feed: Feed, place: Place, page: Page) -> None:
        """A forward pull was answered with `page`: the device has been sent up to its end."""
        now = time.monotonic()
        if place.mode is Mode.PUSH:
            self._extend(place, page, now)
        else:
            place.window.hand(page.upto, page.upto_id)
        if place.window.sent >= feed.tail.head:
            place.lagging = False
        elif place.lagging:
            self.settle(feed, place)  # while the pull was read no batch went out

    # ------------------------------------------------------------------------------------------------ windows

    def _extend(self, place: Place, page: Page, now: float) -> None:
        window = place.window
        waited = window.delivery_count
        window.extend(page.upto, page.upto_id, now=now, settings=self._delivery)
        if not waited and window.delivery_count:
            self._arm(place)

    def _arm(self, place: Place) -> None:
        demoted = self.windows.arm(place)
        if demoted is not None:
            self.demote(demoted)

    def acked(self, place: Place) -> None:
        """The window moved up."""
        self._metrics.acks.inc()
        if place.noted:
            self.settled_window(place)
        if place.window.delivery_count:
            self.windows.arm(place)
        else:
            self.windows.disarm(place)
        feed = self._feeds.get(place.cid)
        if feed is None:
            return
        if place.mode is not feed.mode and place.window.acked >= feed.tail.head:
            self._set_mode(place, feed.mode)  # demoted, and it has caught up
        elif place.lagging:
            self.settle(feed, place)

    def demote(self, place: Place) -> None:
        """From push to notify: it keeps its place in the log and pulls from there."""
        self._metrics.demotions.inc()
        self._set_mode(place, Mode.NOTIFY)

    def set_modes(self, feed: Feed) -> None:
        """Bring every place of the feed to the feed's mode."""
        for place in feed.places:
            if place.mode is not feed.mode:
                self._set_mode(place, feed.mode)

    def _set_mode(self, place: Place, mode: Mode) -> None:
        self.windows.disarm(place)
        place.window.forget_deadline()
        place.lagging = False
        feed = self._feeds.get(place.cid)
        if feed is None:
            place.mode = mode
            return
        feed.move(place, mode)
        if mode is Mode.PUSH and place.window.outstanding:
            # Pulled and not acked: nobody waited for that ack so far.
            now = time.monotonic()
            place.window.await_ack(now=now, settings=self._delivery)
            self._arm(place)
        self.settle(feed, place)

    # ------------------------------------------------------------------------------------------------ resets

    def reset(self, feed: Feed, place: Place, reason: str, pos: LogId) -> None:
        """Tell a device to continue from `pos`, and stand there with it.

        Where `pos` is a floor, the device may have more already: frames above it were on their way.
        """
        self._metrics.resets.labels(reason).inc()
        if reason == "trimmed":
            place.window.skip(pos)
        else:
            place.window.rewind(pos)
            place.told = None
        if not place.window.delivery_count:
            self.windows.disarm(place)
        place.notified = 0
        place.lagging = place.mode is Mode.PUSH
        place.connection.write(
            frames.reset(feed.cid, reason, epoch=feed.head.epoch, pos=pos, head=feed.tail.head, floor=feed.head.floor)
        )

    def trimmed(self, feed: Feed, place: Place, *, stands: int | None = None) -> None:
        """Tell a device that stands below the floor that something is gone for good.

        `stands` is where it says it is; None: at most where it was sent to.
        """
        if (place.window.sent if stands is None else stands) < feed.head.floor - 1:
            self._reset_to_floor(feed, place)

    def _reset_to_floor(self, feed: Feed, place: Place) -> None:
        self.reset(feed, place, "trimmed", LogId(f"{feed.head.floor - 1}-0"))

    def _start_at_the_floor(self, feed: Feed, place: Place) -> None:
        self._reset_to_floor(feed, place)
        self.settle(feed, place)

    def detach(self, place: Place) -> None:
        self.windows.disarm(place)
        feed = self._feeds.get(place.cid)
        if feed is not None:
            feed.discard(place)
