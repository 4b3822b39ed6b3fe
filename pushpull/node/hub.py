"""How what is in a feed reaches the places attached to it: live, from the backlog, by notice, again, or not any more.

The ways are modules of their own (fan_out, notices, backlog, redeliveries, resets); the hub moves places between them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

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
from pushpull.node.windows import Windows
from pushpull.settings import Settings

DRAINED: Final = 0.25
"""Of `limits.buffer_bytes`: a demoted device whose buffer holds no more may be promoted."""


class Hub:
    def __init__(
        self, settings: Settings, metrics: Metrics, *, feeds: Feeds, reader: LogReader, background: Background
    ) -> None:
        self._delivery = settings.delivery
        self._buffer_bytes = settings.limits.buffer_bytes
        self._metrics = metrics
        self._feeds = feeds
        self.windows = Windows(settings.delivery)
        self.windows.demote = self.demote
        self.pace = Pace(settings.delivery, metrics)
        self.relief = Relief(metrics)
        self.notices = Notices(settings.delivery, metrics, background, self.pace, self.relief)
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
        self._fan_out = FanOut(
            settings,
            metrics,
            background,
            self.pace,
            windows=self.windows,
            missed=self._backlog.missed,
            lag=self._backlog.lag,
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
        self._fan_out.push(feed)
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
            if place.notified > feed.tail.head:
                place.notified = 0  # it was told of a head that was lost
            self.trimmed(feed, place)
        self.news(feed)

    def settle(self, feed: Feed, place: Place) -> None:
        """Give a place what it lacks."""
        self._backlog.settle(feed, place)

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
        if place.mode is not feed.mode and self._caught_up(feed, place):
            self._metrics.promotions.inc()
            self._set_mode(place, feed.mode)
        elif place.lagging:
            self.settle(feed, place)

    # ------------------------------------------------------------------------------------------------ modes

    def _caught_up(self, feed: Feed, place: Place) -> bool:
        """Whether a demoted place may be pushed to again: it has acked all it got, what it lacks is no more than a
        window holds, and its buffer is far from full."""
        window = place.window
        return (
            not window.outstanding
            and feed.tail.head - window.acked <= self._delivery.max_ack_pending
            and place.connection.buffered <= self._buffer_bytes * DRAINED
        )

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
            place.window.await_ack(now=time.monotonic(), settings=self._delivery)
            self.windows.arm(place)
        self.settle(feed, place)

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
