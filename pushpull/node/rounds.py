"""Rounds: what is owed to many goes out together, at most once an interval, slice by slice.

The first message after a quiet spell starts a round at once; then there is at most one an interval and conversation,
however many messages came. A round is spread over the interval, so that those who answer to it do not come all
together; each slice is served as of its own moment, so that nobody waits longer than one interval.

Notices (they come and pull) and gathered pushes (they are served) are two kinds of rounds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from pushpull.delivery.place import Place
from pushpull.delivery.policy import interval_s, next_stretch
from pushpull.node.background import Background
from pushpull.node.feed import Cadence, Feed
from pushpull.node.metrics import Metrics
from pushpull.node.spans import Spans, now_ns
from pushpull.settings import Settings

SLICE: Final = 256
"""Receivers between two pauses. A round of fewer is no load to speak of."""
SPREAD: Final = 0.8  # of the interval: the round is over before the next is due


class Pace:
    """How much longer the rounds of large groups take while the node is busy with them: one for all rounds."""

    def __init__(self, settings: Settings, metrics: Metrics, spans: Spans | None = None) -> None:
        self.spans = spans  # who is told of each round
        self._settings = settings
        self._metrics = metrics
        self._stretch = 1.0
        self._went_large = False  # since the load was last looked at

    def adapt(self, load: float) -> None:
        """Take the node's load, 0 to 1, of the last second into account, where large rounds had a part in it."""
        load = load if self._went_large else 0.0
        self._went_large = False
        self._stretch = next_stretch(self._stretch, load=load, settings=self._settings.delivery)
        self._metrics.notify_interval.set(self.interval_s(self._settings.delivery.notify_interval_ms / 1000, SLICE + 1))

    def interval_s(self, wanted_s: float, receivers: int) -> float:
        return interval_s(wanted_s, self._stretch, self._settings.delivery) if receivers > SLICE else wanted_s

    def goes_to(self, receivers: int) -> None:
        """A slice of a round for so many is served now."""
        self._went_large |= receivers > SLICE


class Course(Protocol):
    """What a kind of rounds does."""

    def cadence(self, feed: Feed) -> Cadence:
        """Where the feed's rounds of this kind stand."""

    def receivers(self, feed: Feed) -> Collection[Place]: ...

    def wanted_s(self, feed: Feed) -> float:
        """The time (s) from one round to the next on an idle node."""

    def urgent(self, feed: Feed) -> bool:
        """Whether the next round may not wait."""

    def begin(self, feed: Feed) -> bool:
        """A round begins; what is said here is told to each of its slices."""

    def serve(self, feed: Feed, places: Sequence[Place], told: bool) -> bool:
        """Serve one slice; True when some are still owed something."""


class Rounds:
    def __init__(self, course: Course, pace: Pace, background: Background, *, name: str) -> None:
        self._course = course
        self._pace = pace
        self._background = background
        self._name = name

    def owe(self, feed: Feed) -> None:
        """The feed has something for its receivers."""
        cadence = self._course.cadence(feed)
        if not cadence.running:
            cadence.running = True
            self._background.spawn(self._run(feed, cadence), f"{self._name} {feed.cid}")
        elif cadence.hurry is not None and self._course.urgent(feed):
            cadence.hurry.set()

    async def _run(self, feed: Feed, cadence: Cadence) -> None:
        """Round after round until nothing is owed."""
        course = self._course
        try:
            owed = True
            while owed and course.receivers(feed) and not (feed.deleted or feed.held):
                wait_s = cadence.last_at + self._interval_s(feed) - time.monotonic()
                if wait_s > 0 and not course.urgent(feed):
                    await self._wait(cadence, wait_s)
                cadence.last_at = feed.used_at = time.monotonic()
                owed = await self._round(feed)
        finally:
            cadence.running = False

    def _interval_s(self, feed: Feed) -> float:
        return self._pace.interval_s(self._course.wanted_s(feed), len(self._course.receivers(feed)))

    async def _wait(self, cadence: Cadence, wait_s: float) -> None:
        """Wait for the next round, unless it may not wait any more."""
        cadence.hurry = asyncio.Event()
        try:
            async with asyncio.timeout(wait_s):
                await cadence.hurry.wait()
        except TimeoutError:
            pass
        finally:
            cadence.hurry = None

    async def _round(self, feed: Feed) -> bool:
        """Serve everyone once. True when some are still owed: what comes meanwhile is, to the slices served before."""
        spans = self._pace.spans
        begun, begun_ns = feed.tail.head, 0 if spans is None else now_ns()
        told = self._course.begin(feed)
        places = tuple(self._course.receivers(feed))
        pause_s = self._interval_s(feed) * SPREAD / max(1, -(-len(places) // SLICE))
        owed = False
        generation = feed.generation
        for first in range(0, len(places), SLICE):
            if feed.held or feed.generation != generation:
                return True  # what was cut is of a log that is no more
            self._pace.goes_to(len(places))
            owed |= self._course.serve(feed, places[first : first + SLICE], told)
            if first + SLICE < len(places):
                await asyncio.sleep(pause_s)
        cadence = self._course.cadence(feed)
        if spans is not None:
            spans.delivered(feed, cadence.upto, begun, self._name, begun_ns, devices=len(places))
        cadence.upto = begun
        return owed or begun < feed.tail.head
