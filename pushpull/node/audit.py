"""The slow look at whether this node's feeds still stand where their logs do.

A doorbell that was lost and never followed by another would leave a feed behind for good; the audit compares each
feed's last id, epoch and mver with Redis, a chunk at a time, at no more than `audit_reads_per_s`. Healing time is
therefore the number of feeds ÷ that, and at least `audit_interval_s`.

It also keeps the tails of this node within `tails_bytes`: the least recently used shrink first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from pushpull.errors import PushpullError
from pushpull.model import Head
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds, Heads
from pushpull.node.lanes import Lane, one_lane
from pushpull.node.metrics import Metrics
from pushpull.settings import Settings

CHUNK: Final = 100


class Audit:
    def __init__(
        self,
        feeds: Feeds,
        log_heads: Heads,
        metrics: Metrics,
        settings: Settings,
        *,
        stale: Callable[[Feed], None],
        lane: Lane = one_lane,
    ) -> None:
        self._feeds = feeds
        self._log = log_heads
        self._metrics = metrics
        self._settings = settings
        self._stale = stale
        self._lane = lane

    async def round(self) -> int:
        """Look at every feed once; returns how many were behind.

        Each lane by itself, together within `audit_reads_per_s`. Raises StoreUnavailable where one was not answered,
        after the others were looked at.
        """
        self.shrink_tails()
        lanes: dict[int, list[Feed]] = {}
        for feed in self._feeds:
            lanes.setdefault(self._lane(feed.cid), []).append(feed)
        pause_s = CHUNK * len(lanes) / self._settings.delivery.audit_reads_per_s
        found = await asyncio.gather(*(self._look_at(feeds, pause_s) for feeds in lanes.values()))
        behind = sum(count for count, _ in found)
        self._metrics.lost_bells.inc(behind)
        for _, problem in found:
            if problem is not None:
                raise problem
        return behind

    async def _look_at(self, feeds: Sequence[Feed], pause_s: float) -> tuple[int, PushpullError | None]:
        """How many of one lane's feeds are behind, as far as Redis answered, and what it said where it did not."""
        behind = 0
        for first in range(0, len(feeds), CHUNK):
            chunk = feeds[first : first + CHUNK]
            try:
                heads = await self._log.heads([feed.cid for feed in chunk])
            except PushpullError as problem:
                return behind, problem
            lost = [feed for feed, head in zip(chunk, heads, strict=True) if differs(feed, head)]
            for feed in lost:
                self._stale(feed)
            behind += len(lost)
            await asyncio.sleep(pause_s)
        return behind, None

    def shrink_tails(self) -> None:
        """Halve the tails that were used longest ago, until all are within `tails_bytes`."""
        total = sum(feed.tail.bytes for feed in self._feeds)
        for feed in sorted(self._feeds, key=lambda feed: feed.used_at):
            if total <= self._settings.delivery.tails_bytes:
                break
            before = feed.tail.bytes
            feed.tail.shrink(before // 2)
            total -= before - feed.tail.bytes
        self._metrics.tails_bytes.set(total)


def differs(feed: Feed, head: Head | None) -> bool:
    """Whether the log has moved on without the feed. A bell under way looks the same; the read it costs is harmless."""
    if head is None:
        return True
    known = feed.head
    return head.last_id != feed.tail.head_id or head.epoch != known.epoch or head.mver != known.mver
