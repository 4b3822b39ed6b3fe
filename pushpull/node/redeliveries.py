"""What is not acknowledged by its deadline goes out again: the same range, later and later, then the connection ends.

The range is read like any page, from the tail or the log; those to whom the same is due get the same bytes. While
bytes for a device are still here it is not sent anything a second time, however few they are: what is due may be among
them, or goes before them. A slow device is not a dead one, `stall_s` tells them apart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from pushpull.delivery.codes import NO_ANSWER
from pushpull.delivery.place import Place
from pushpull.delivery.tail import Page
from pushpull.delivery.window import EXHAUSTED, Exhausted, Redelivery
from pushpull.errors import PushpullError
from pushpull.node.background import Background
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.windows import Windows
from pushpull.settings import Settings

log = logging.getLogger(__name__)


class Redeliveries:
    """Bounded by the windows: one task for each that is due."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        windows: Windows,
        feeds: Feeds,
        reader: LogReader,
        background: Background,
        trimmed: Callable[[Feed, Place], None],
    ) -> None:
        """`trimmed` is called for a place whose unacknowledged range lies below the floor."""
        self._settings = settings
        self._buffer_bytes = settings.limits.buffer_bytes
        self._metrics = metrics
        self._windows = windows
        self._feeds = feeds
        self._reader = reader
        self._background = background
        self._trimmed = trimmed
        self.note: Callable[[Place, Redelivery], None] = lambda place, due: None  # this range goes out again

    def redeliver_due(self) -> None:
        """Hand again what was not acked by its deadline. Call several times a second."""
        now = time.monotonic()
        for place in self._windows.due(now):
            if place.connection.buffered:
                place.window.await_ack(now=now, settings=self._settings.delivery)
                self._windows.arm(place)
            else:
                self._redeliver(place, place.window.redeliver(now=now, settings=self._settings.delivery))

    def _redeliver(self, place: Place, due: Redelivery | Exhausted | None) -> None:
        if isinstance(due, Redelivery):
            self._windows.arm_again(place)
            self.note(place, due)
            self._background.spawn(self._send_again(place, due), f"redelivery {place.cid}")
        elif due is EXHAUSTED:
            self._windows.disarm(place)
            self._metrics.exhausted.inc()
            place.connection.close(NO_ANSWER, f"no ack after {self._settings.delivery.max_deliver} deliveries")
        else:
            self._windows.arm(place)

    async def _send_again(self, place: Place, due: Redelivery) -> None:
        feed = self._feeds.get(place.cid)
        after, done = due.after, False
        try:
            while feed is not None and not done:
                # What was trimmed is left out. The device may have it, so it is not sent back: one that has not finds
                # a gap and pulls.
                after = max(after, feed.head.floor - 1)
                limit = max(1, due.upto - after)
                page, frame = await self._cut(feed, after, limit, due.count)
                if not self._awaited(feed, place):
                    return
                if after >= feed.head.floor - 1:  # else the floor rose above it while it was read
                    self._hand(place, page, frame)
                    done = not after < page.upto < due.upto
                    after = page.upto
        except PushpullError as problem:
            log.debug("redelivery of %s waits: %s", place.cid, problem.message)

    async def _cut(self, feed: Feed, after: int, limit: int, count: int) -> tuple[Page, bytes]:
        """A page of what is sent again, and its frame. Raises PushpullError."""
        cut = feed.cut(after, limit=limit, told=False, redelivery=count)
        if cut is None:
            page = await self._reader.page(feed, after, limit=limit, max_bytes=self._settings.delivery.page_bytes)
            cut = page, feed.frame(page, redelivery=count)
        return cut

    def _hand(self, place: Place, page: Page, frame: bytes) -> None:
        place.connection.share(frame)
        # Where something was redacted since, the page reaches further, and the device may ack that far.
        place.window.extend(page.upto, page.upto_id, now=time.monotonic(), settings=self._settings.delivery)
        self._metrics.redeliveries.inc(len(page.items))

    def _awaited(self, feed: Feed, place: Place) -> bool:
        """Whether the place still waits for an ack, and may be handed something now."""
        if feed.held or not (place.attached and place.window.delivery_count):
            return False
        if place.window.sent < feed.head.floor - 1:
            self._trimmed(feed, place)
            return False
        return not self._full(place)

    def _full(self, place: Place) -> bool:
        return place.connection.buffered > self._buffer_bytes
