"""Signals: what members say in passing (typing…), from a device here to Redis, and from the bell to the devices here.

Nothing of it is kept, and nothing is tried again: what is late, over a bound, or comes while the node has more to do
than it can, is left out.

Bounded: WAITING_MAX on their way to Redis, each for at most as long as Redis takes.
"""

from __future__ import annotations

import time
from typing import Final, Protocol

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.delivery.policy import is_small
from pushpull.delivery.shedding import Extra
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.relief import Relief
from pushpull.settings import Settings
from pushpull.store.passing import SignalBell
from pushpull.store.signals import Said, too_many_to_signal

WAITING_MAX: Final = 1_000
STALE_S: Final = 1.0
"""A signal that waited so long for Redis says nothing any more."""
ROOM: Final = 0.25
"""Of `limits.buffer_bytes`: a device with more than that waiting for it gets no signals."""


class Crier(Protocol):
    async def say(self, said: Said) -> None: ...


class Signals:
    def __init__(
        self, crier: Crier, settings: Settings, metrics: Metrics, *, feeds: Feeds, reader: LogReader, relief: Relief
    ) -> None:
        self._crier = crier
        self._settings = settings
        self._room = int(settings.limits.buffer_bytes * ROOM)
        self._metrics = metrics
        self._feeds = feeds
        self._reader = reader
        self._relief = relief
        self._waiting = 0

    async def say(self, place: Place, body: bytes) -> None:
        """Tell the members who are connected, wherever they are. Raises PushpullError where that is not allowed."""
        feed = self._feeds.get(place.cid)
        if feed is not None and not is_small(feed.head.members, self._settings.delivery):
            raise too_many_to_signal(place.cid, feed.head.members, self._settings.delivery.push_max_members)
        if self._waiting >= WAITING_MAX or self._relief.sheds(Extra.SIGNAL):
            return
        said_at = time.monotonic()
        self._waiting += 1
        try:
            await self._crier.say(
                Said(
                    cid=place.cid,
                    sender=place.device.uid,
                    session=place.device.session,
                    body=body,
                    most_members=self._settings.delivery.push_max_members,
                    still=lambda: time.monotonic() - said_at < STALE_S,
                )
            )
        finally:
            self._waiting -= 1

    def heard(self, bell: SignalBell) -> None:
        """Hand it to the devices here but the one that said it."""
        feed = self._feeds.get(bell.cid)
        if feed is None or not feed:
            return
        if not feed.knows(bell.epoch, bell.mver):
            self._find_out(feed)
        elif not feed.held and not self._relief.sheds(Extra.SIGNAL):
            self._hand_out(feed, bell)

    def _find_out(self, feed: Feed) -> None:
        """Members changed, and the feed has not heard of it: somebody here may be none any more."""
        if not feed.doubted:  # else it is read once the doubt is over
            self._reader.mark_stale(feed)

    def _hand_out(self, feed: Feed, bell: SignalBell) -> None:
        frame = frames.signal(bell.cid, bell.sender, bell.body)
        for place in feed.places:
            if place.device.session != bell.session and place.connection.offer(frame, self._room):
                self._metrics.signals.inc()
