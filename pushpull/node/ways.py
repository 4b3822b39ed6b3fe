"""Moving places from one way of being served to another, as the policy says: pushed, gathered, notified, told.

Theory of operation. A move changes who hands a place its next frame, never what it was handed: its window stays where
it is, and whatever lies between that and the head is *settled* after the move, in the new way. So a place that is moved
to and fro gets the same messages in the same order as one that never was.

    by size, rate and load      every place of a conversation, when its standing changes; looked at once a second
    by what it looks at         one place, at once. One that is to be pushed to but lacks more than a window is
                                notified first and pulls: nobody wants a thousand old messages one batch at a time
    because it is slow          demoted to notices, and promoted once it has caught up

Bounded: conversations with a rate to follow are at most the feeds, and go off the list when they fall silent.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from pushpull.delivery.place import Place
from pushpull.delivery.policy import Focus, Way
from pushpull.delivery.rate import LOAD_S, Smoothed
from pushpull.model import Mode
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.metrics import Metrics
from pushpull.node.windows import Windows
from pushpull.settings import Settings

DRAINED: Final = 0.25
"""Of `limits.buffer_bytes`: a demoted device whose buffer holds no more may be promoted."""
LOOKS: Final = 500
"""Conversations looked at between two turns of the loop: about 2 ms."""


class Ways:
    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        feeds: Feeds,
        windows: Windows,
        settle: Callable[[Feed, Place], None],
    ) -> None:
        """`settle` gives a place what it lacks."""
        self._settings = settings
        self._metrics = metrics
        self._feeds = feeds
        self._windows = windows
        self._settle = settle
        self._load = Smoothed(LOAD_S)
        self._looking = False
        self._stirred: dict[Feed, None] = {}  # with news lately, or a rate that has not died away

    # ------------------------------------------------------------------------------------------------ by the second

    @property
    def stirred(self) -> tuple[Feed, ...]:
        """Those with news lately, or a rate that has not died away."""
        return tuple(self._stirred)

    def stir(self, feed: Feed) -> None:
        """The feed has news."""
        self._stirred[feed] = None

    async def look(self, load: float, *, over_s: float) -> None:
        """The node was busy for this share, 0 to 1, of the last `over_s` seconds. Call about once a second."""
        self._load.take(load, over_s=over_s)
        if not self._looking:  # else it takes longer than a second, and this look is part of that one
            self._looking = True
            try:
                await self._look_at_all()
            finally:
                self._looking = False

    async def _look_at_all(self) -> None:
        for number, feed in enumerate(tuple(self._stirred)):
            if feed.deleted or self._feeds.get(feed.cid) is not feed:
                del self._stirred[feed]
                continue
            if feed.ruling.look(feed.tail.head, load=self._load.value, now=time.monotonic()):
                self.set_all(feed)
            if feed.ruling.rests():
                del self._stirred[feed]
            if number % LOOKS == LOOKS - 1:
                await asyncio.sleep(0)

    # ------------------------------------------------------------------------------------------------ places

    def attach(self, feed: Feed, place: Place) -> None:
        """A place that has just been listed: it is settled by its listing."""
        place.way = self._first(feed, place)
        place.mode = place.way.mode
        feed.add(place)

    def set_all(self, feed: Feed) -> None:
        """Serve every place of the feed as is decided now."""
        for place in feed.places:
            way = feed.ruling.of(place.focus).way
            if place.way is not way:
                self._set(feed, place, way)

    async def judge_all(self) -> None:
        """The delivery settings are others: look at every conversation again."""
        for number, feed in enumerate(tuple(self._feeds)):
            feed.judge(self._settings.delivery)
            self.set_all(feed)
            if number % LOOKS == LOOKS - 1:
                await asyncio.sleep(0)

    def looked(self, place: Place) -> None:
        """What its device has on the screen changed, or was said for the first time."""
        feed = self._feeds.get(place.cid)
        if feed is None:
            return
        way = self._first(feed, place)
        place.notified = 0  # whoever comes to look is told, though it did not come when it was told before
        if place.way is not way:
            self._set(feed, place, way)
        elif place.focus is Focus.HERE:
            self._settle(feed, place)

    def demote(self, place: Place) -> None:
        """It does not keep up: from push to notices. It keeps its place in the log and pulls from there."""
        self._metrics.demotions.inc()
        feed = self._feeds.get(place.cid)
        if feed is None:
            self._disarm(place)
            place.way = Way.NOTIFIED
            place.mode = Mode.NOTIFY
        else:
            self._set(feed, place, feed.ruling.of_slow().way)

    def promote(self, feed: Feed, place: Place) -> None:
        """Serve a place as is decided for those who keep up, where it has caught up. Call when it acked."""
        way = feed.ruling.of(place.focus).way
        if place.way is not way and self._caught_up(feed, place):
            self._metrics.promotions.inc()
            self._set(feed, place, way)

    def _caught_up(self, feed: Feed, place: Place) -> bool:
        """Whether a notified place may be pushed to: it has acked all it got, what it lacks is no more than a
        window holds, and its buffer is far from full."""
        window = place.window
        return (
            not window.outstanding
            and feed.tail.head - window.acked <= self._settings.delivery.max_ack_pending
            and place.connection.buffered <= self._settings.limits.buffer_bytes * DRAINED
        )

    def _first(self, feed: Feed, place: Place) -> Way:
        """How a place is served that was not, or was told only now and then: who looks at a large conversation is
        pushed to once it is near its head. Until then it pulls, and is promoted by its acks."""
        way = feed.ruling.of(place.focus).way
        far = feed.tail.head - place.window.acked > self._settings.delivery.max_ack_pending
        return Way.NOTIFIED if far and way.mode is Mode.PUSH and feed.mode is Mode.NOTIFY else way

    def _set(self, feed: Feed, place: Place, way: Way) -> None:
        self._disarm(place)
        feed.move(place, way)
        if way.mode is Mode.PUSH and place.window.outstanding:
            # Pulled, or pushed before, and not acked: from here on that ack is waited for.
            place.window.await_ack(now=time.monotonic(), settings=self._settings.delivery)
            self._windows.arm(place)
        self._settle(feed, place)

    def _disarm(self, place: Place) -> None:
        self._windows.disarm(place)
        place.window.forget_deadline()
        place.lagging = False
