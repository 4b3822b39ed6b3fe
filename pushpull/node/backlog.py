"""What a place lacks that was not handed to it live: batch by batch, each after the ack of the last.

A place that stands below the head and is pushed *lags*. It is handed a batch when nothing is outstanding and its
buffer takes it, and the ack of that batch brings the next one, until it stands at the head again. One that is
notified gets a notice and pulls.

A device whose buffer is full as live frames come is *demoted*: it is told by notices, when its bytes have left, and
takes what it lacks at its own pace. The hub promotes it when it has caught up.
"""

from __future__ import annotations

import logging
import time

from pushpull.delivery.codes import OVERLOADED
from pushpull.delivery.place import Place
from pushpull.delivery.tail import Page
from pushpull.errors import PushpullError
from pushpull.model import Mode
from pushpull.node.background import Background
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.notices import Notices
from pushpull.node.resets import Resets
from pushpull.node.windows import Windows
from pushpull.settings import Settings

log = logging.getLogger(__name__)


class Backlog:
    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        background: Background,
        *,
        feeds: Feeds,
        reader: LogReader,
        windows: Windows,
        notices: Notices,
        resets: Resets,
    ) -> None:
        self._settings = settings
        self._buffer_bytes = settings.limits.buffer_bytes
        self._metrics = metrics
        self._background = background
        self._feeds = feeds
        self._reader = reader
        self._windows = windows
        self._notices = notices
        self._resets = resets
        self._full: dict[Place, None] = {}  # lagging, and no ack is to come; bounded by the places

    def missed(self, place: Place) -> None:
        """A live frame could not be handed to this place."""
        place.lagging = True
        if place.connection.buffered > self._buffer_bytes:
            self._windows.demote(place)
        elif not place.window.outstanding:
            self._full[place] = None  # no ack is to come that would bring it back

    def lag(self, feed: Feed, place: Place) -> None:
        """There is more than one live frame could hold for this place."""
        place.lagging = True
        self.settle(feed, place)

    def settle(self, feed: Feed, place: Place) -> None:
        """Give a place what it lacks: in push the next batch once nothing is outstanding, in notify a notice."""
        if feed.deleted or feed.held:
            return
        self._resets.trimmed(feed, place)
        if place.window.sent >= feed.tail.head:
            place.lagging = False
        elif place.mode is Mode.NOTIFY:
            self._ring(feed, place)
        else:
            self._hand_next(feed, place)

    def _ring(self, feed: Feed, place: Place) -> None:
        if place.connection.buffered:
            self._notices.ring(feed)  # in a round that finds its buffer empty
        else:
            self._notices.ring_one(feed, place)

    @property
    def held_up(self) -> int:
        """Places that wait for room in their buffer."""
        return len(self._full)

    def settle_full(self) -> None:
        """Try those again whose buffers were full, or that were busy reading. Call several times a second."""
        waiting, self._full = self._full, {}
        for place in waiting:
            feed = self._feeds.get(place.cid)
            if feed is not None and place.attached:
                self.settle(feed, place)

    def _hand_next(self, feed: Feed, place: Place) -> None:
        place.lagging = True
        if place.window.outstanding:
            return  # the ack to come brings us back here
        if place.fetching or place.pulling or place.connection.buffered > self._buffer_bytes:
            self._full[place] = None
            return
        cut = feed.cut(place.window.sent, limit=self._settings.delivery.max_ack_pending, told=False)
        if cut is not None:
            self._hand(feed, place, *cut)
        else:
            place.fetching = True
            self._background.spawn(self._fetch(feed, place), f"backlog {feed.cid}")

    async def _fetch(self, feed: Feed, place: Place) -> None:
        after = place.window.sent
        try:
            page = await self._reader.page(
                feed, after, limit=self._settings.delivery.max_ack_pending, max_bytes=self._settings.delivery.page_bytes
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
        self._resets.trimmed(feed, place)
        if page.upto > feed.tail.head:
            # More than the feed has heard of, and perhaps that this member was removed before it.
            self._reader.mark_stale(feed)
            self._full[place] = None
        elif place.window.sent == after and place.mode is Mode.PUSH and not place.window.outstanding:
            self._hand(feed, place, page, feed.frame(page))
        else:
            self.settle(feed, place)

    def _hand(self, feed: Feed, place: Place, page: Page, frame: bytes) -> None:
        place.connection.share(frame)
        self._windows.hand(place, page, time.monotonic())
        self._metrics.deliveries.inc(len(page.items))
        if page.upto >= feed.tail.head:
            place.lagging = False
