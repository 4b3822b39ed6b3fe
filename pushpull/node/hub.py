"""How what is in a feed reaches the places attached to it: live, from the backlog, by notice, again, or not any more.

The ways are modules of their own (fan_out, notices, backlog, redeliveries, resets); the hub moves places between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pushpull.delivery.place import Place
from pushpull.delivery.tail import Page
from pushpull.model import LogId, Mode
from pushpull.node.background import Background
from pushpull.node.backlog import Backlog
from pushpull.node.fan_out import FanOut
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.notices import Notices
from pushpull.node.redeliveries import Redeliveries
from pushpull.node.relief import Relief
from pushpull.node.resets import Resets
from pushpull.node.rounds import Pace
from pushpull.node.spans import Spans
from pushpull.node.ways import Ways
from pushpull.node.windows import Windows
from pushpull.settings import Settings


class Hub:
    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        feeds: Feeds,
        reader: LogReader,
        background: Background,
        spans: Spans | None = None,
    ) -> None:
        self._metrics = metrics
        self._feeds = feeds
        self.windows = Windows(settings)
        self.windows.demote = self.demote
        self.pace = Pace(settings, metrics, spans)
        self.relief = Relief(metrics)
        self.notices = Notices(settings, metrics, background, self.pace, self.relief)
        self._resets = Resets(metrics, self.windows)
        self._backlog = Backlog(
            settings,
            metrics,
            background,
            feeds=feeds,
            reader=reader,
            windows=self.windows,
            notices=self.notices,
            resets=self._resets,
        )
        self.ways = Ways(settings, metrics, feeds=feeds, windows=self.windows, settle=self._backlog.settle)
        self._fan_out = FanOut(
            settings,
            metrics,
            background,
            self.pace,
            windows=self.windows,
            missed=self._backlog.missed,
            lag=self._backlog.lag,
            spans=spans,
        )
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

    # ------------------------------------------------------------------------------------------------ news

    def news(self, feed: Feed) -> None:
        """The feed's tail grew: hand the news to its places."""
        if feed.held:
            return
        self.ways.stir(feed)
        self._fan_out.push(feed)
        self.notices.ring(feed)

    def release(self, feed: Feed) -> None:
        """What was held may go out: to whoever lags, who stands below what was fanned out, and to all the rest."""
        for place in (*feed.pushed, *feed.gathered):
            if place.lagging or place.window.sent < feed.fanned:
                self.settle(feed, place)
        for place in (*feed.noticed, *feed.away):
            if place.notified > feed.tail.head:
                place.notified = 0  # it was told of a head that was lost
            self.trimmed(feed, place)
        self.news(feed)

    def settle(self, feed: Feed, place: Place) -> None:
        """Give a place what it lacks."""
        self._backlog.settle(feed, place)

    @property
    def held_up(self) -> int:
        """Places whose next batch waits for room in the device's buffer."""
        return self._backlog.held_up

    def settle_full(self) -> None:
        """Try those again whose buffers were full. Call several times a second."""
        self._backlog.settle_full()

    # ------------------------------------------------------------------------------------------------ asked and acked

    def pulled(self, feed: Feed, place: Place, page: Page) -> None:
        """A forward pull was answered with `page`: the device has been sent up to its end."""
        if place.mode is Mode.PUSH:
            self.windows.hand(place, page, time.monotonic())
        else:
            place.window.hand(page.upto, page.upto_id)
        if place.window.sent >= feed.tail.head:
            place.lagging = False
        elif place.lagging:
            self.settle(feed, place)  # while the pull was read no batch went out

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
        if place.mode is Mode.NOTIFY:
            self.ways.promote(feed, place)  # else it pulls what it lacks
        elif place.lagging:
            self.settle(feed, place)

    # ------------------------------------------------------------------------------------------------ ways

    def attach(self, feed: Feed, place: Place) -> None:
        """A place of a conversation that is being listed to its device."""
        self.ways.attach(feed, place)

    def demote(self, place: Place) -> None:
        """From push to notify: it keeps its place in the log and pulls from there."""
        self.ways.demote(place)

    def set_modes(self, feed: Feed) -> None:
        """Serve every place of the feed as the policy says now."""
        self.ways.set_all(feed)

    def looked(self, place: Place) -> None:
        """The device has this conversation on its screen now, or no more."""
        self.ways.looked(place)

    # ------------------------------------------------------------------------------------------------ elsewhere, gone

    def reset(self, feed: Feed, place: Place, reason: str, pos: LogId) -> None:
        """Tell a device to continue from `pos`, and stand there with it."""
        self._resets.reset(feed, place, reason, pos)

    def stay(self, feed: Feed, place: Place) -> None:
        """Tell a device that the log lost its tail above where it stands."""
        self._resets.stay(feed, place)

    def trimmed(self, feed: Feed, place: Place, *, stands: int | None = None) -> None:
        """Tell a device that stands below the floor that something is gone for good."""
        self._resets.trimmed(feed, place, stands=stands)

    def _start_at_the_floor(self, feed: Feed, place: Place) -> None:
        self._resets.to_floor(feed, place)
        self.settle(feed, place)

    def detach(self, place: Place) -> None:
        self.windows.disarm(place)
        feed = self._feeds.get(place.cid)
        if feed is not None:
            feed.discard(place)
