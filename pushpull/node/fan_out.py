"""Live pushes: from the end of a feed's tail to the sockets of those who stand there. This is the hot path.

A frame (after, upto] is encoded once, and the same bytes go to every place that stands exactly at its `after`, has
room in its window and a buffer that takes them. Any other place has missed it and is left to the backlog.

Message by message, and to those for whom the policy says so gathered: in rounds, one frame for all since the last.
Large groups go in slices of SLICE receivers, between which the loop does other work; a feed never fans out twice at
a time, so what arrives meanwhile travels in the next frame.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from pushpull.delivery.place import Place
from pushpull.delivery.tail import Page
from pushpull.model import Mode, ts_of
from pushpull.node.background import Background
from pushpull.node.feed import Cadence, Feed
from pushpull.node.metrics import Metrics
from pushpull.node.rounds import Pace, Rounds
from pushpull.node.spans import Spans, now_ns
from pushpull.node.windows import Windows
from pushpull.settings import Settings

PUSH: Final = Mode.PUSH  # looked up once, not once a receiver
SLICE: Final = 256
"""Receivers between two turns of the loop: about 2 ms of work, so that pings and acks are not kept waiting."""


class FanOut:
    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        background: Background,
        pace: Pace,
        *,
        windows: Windows,
        missed: Callable[[Place], None],
        lag: Callable[[Feed, Place], None],
        spans: Spans | None = None,
    ) -> None:
        """`missed` is called for a place that could not take a frame, `lag` for one that needs more than a frame."""
        self._settings = settings
        self._buffer_bytes = settings.limits.buffer_bytes
        self._metrics = metrics
        self._background = background
        self._windows = windows
        self._missed = missed
        self._lag = lag
        self._spans = spans
        self._rounds = Rounds(self, pace, background, name="gathered pushes")

    def push(self, feed: Feed) -> None:
        """The feed's tail grew: hand the news to those who are pushed."""
        if feed.gathered:
            self._rounds.owe(feed)
        if not feed.pushed:
            feed.fanned = feed.tail.head
        elif feed.fanning:
            pass  # it travels in the next frame
        elif len(feed.pushed) <= SLICE:
            self._push_at_once(feed)
        else:
            feed.fanning = True
            self._background.spawn(self._push_in_slices(feed), f"fan-out {feed.cid}")

    # ------------------------------------------------------------------------------------------------ by the message

    def _push_at_once(self, feed: Feed) -> None:
        while (page := self._next_page(feed)) is not None:
            begun_ns = 0 if self._spans is None else now_ns()
            places = tuple(feed.pushed)
            handed = self._hand(places, page, feed.frame(page))
            self._fanned(feed, page)
            if self._spans is not None:
                self._told(feed, page, begun_ns, len(places), handed)

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
        places, handed, begun_ns = tuple(feed.pushed), 0, 0 if self._spans is None else now_ns()
        for first in range(0, len(places), SLICE):
            handed += self._hand(places[first : first + SLICE], page, frame)
            await asyncio.sleep(0)
            if feed.held or feed.generation != generation:
                return False
        if self._spans is not None:
            self._told(feed, page, begun_ns, len(places), handed)
        return True

    def _told(self, feed: Feed, page: Page, begun_ns: int, devices: int, handed: int) -> None:
        assert self._spans is not None
        self._spans.delivered(feed, page.after, page.upto, "pushes", begun_ns, devices=devices, handed=handed)

    def _next_page(self, feed: Feed) -> Page | None:
        """The next page to fan out; None when all is out, or nothing may go out now."""
        if feed.fanned >= feed.tail.head or feed.held:
            return None
        # Not more than a window has room for: who is handed that has acked all before.
        delivery = self._settings.delivery
        limit = min(delivery.page_limit, delivery.max_ack_pending)
        page = feed.tail.page(feed.fanned, limit=limit, max_bytes=delivery.page_bytes)
        if page is None:  # more came in one read than the tail holds
            feed.fanned = feed.tail.head
            self._lag_all(feed, feed.pushed)
        return page

    def _fanned(self, feed: Feed, page: Page) -> None:
        feed.fanned = page.upto
        feed.used_at = time.monotonic()
        self._observe(page)

    def _observe(self, page: Page) -> None:
        """How old the newest message of `page` is, now that its receivers were handed it."""
        self._metrics.delivery_seconds.observe(max(0.0, time.time() - ts_of(page.upto_id) / 1000))

    def _hand(self, places: Iterable[Place], page: Page, frame: bytes) -> int:
        """Hand one frame to each place that stands at its `after`; to how many.

        In three passes and not in one: a write right after another costs less than one after a search through memory
        for the next receiver's window, and it keeps whoever reads it awake.
        """
        ready, behind = self._ready(places, page)
        handed = self._write(ready, page, frame, behind) if ready else 0
        for place in behind:
            self._missed(place)
        return handed

    def _ready(self, places: Iterable[Place], page: Page) -> tuple[list[Place], list[Place]]:
        """Those who stand at the page's `after` with room in their windows, and those who lack it and do not."""
        after, upto = page.after, page.upto
        lowest = upto - self._settings.delivery.max_ack_pending  # who acked less has no room for it
        ready, behind = [], []
        for place in places:
            window = place.window
            if place.mode is not PUSH or not place.attached:
                continue
            if window.sent == after and window.acked >= lowest and not place.lagging:
                ready.append(place)
            elif window.sent < upto:
                behind.append(place)
        return ready, behind

    def _write(self, ready: list[Place], page: Page, frame: bytes, behind: list[Place]) -> int:
        """Write the frame to each of `ready`; whose connection is full goes to `behind`. To how many."""
        connections = [place.connection for place in ready]
        taken = connections[0].offer_all(connections, frame, self._buffer_bytes)
        handed = ready
        if not all(taken):
            handed = [place for place, took in zip(ready, taken, strict=True) if took]
            behind += [place for place, took in zip(ready, taken, strict=True) if not took]
        now, upto, upto_id = time.monotonic(), page.upto, page.upto_id
        deadline = now + self._settings.delivery.ack_wait_ms / 1000
        self._windows.arm_new([place for place in handed if place.window.push(upto, upto_id, now, deadline)])
        self._metrics.deliveries.inc(len(handed) * len(page.items))
        return len(handed)

    def _lag_all(self, feed: Feed, places: Iterable[Place]) -> None:
        for place in tuple(places):
            self._lag(feed, place)

    # ------------------------------------------------------------------------------------------------ gathered

    def cadence(self, feed: Feed) -> Cadence:
        return feed.gathering

    def receivers(self, feed: Feed) -> Collection[Place]:
        return feed.gathered

    def wanted_s(self, feed: Feed) -> float:
        return feed.window_s

    def urgent(self, feed: Feed) -> bool:
        return False

    def begin(self, feed: Feed) -> bool:
        return False

    def serve(self, feed: Feed, places: Sequence[Place], told: bool) -> bool:
        """Hand these places what they lack: the same bytes to all who stand at the same place."""
        head = feed.tail.head
        standing: dict[int, list[Place]] = {}
        for place in places:
            if not place.lagging and place.window.sent < head:
                standing.setdefault(place.window.sent, []).append(place)
        for after, group in standing.items():
            cut = feed.cut(after, limit=self._settings.delivery.max_ack_pending, told=False)
            if cut is not None:
                page, frame = cut
                self._hand(group, page, frame)
                self._observe(page)
            if cut is None or cut[0].upto < head:
                self._lag_all(feed, group)
        return False
