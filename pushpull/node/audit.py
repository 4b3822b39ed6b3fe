"""The slow look at whether this node's feeds still stand where their logs do.

A doorbell that was lost and never followed by another would leave a feed behind for good; the audit compares each
feed's last id, epoch and mver with Redis, a chunk at a time, at no more than `audit_reads_per_s`. Healing time is
therefore the number of feeds ÷ that, and at least `audit_interval_s`.

It also keeps the tails of this node within `tails_bytes`: the least recently used shrink first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from pushpull.model import Head
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds, Heads
from pushpull.node.metrics import Metrics
from pushpull.settings import Delivery

CHUNK: Final = 100


class Audit:
    def __init__(
        self, feeds: Feeds, log_heads: Heads, metrics: Metrics, settings: Delivery, *, stale: Callable[[Feed], None]
    ) -> None:
        self._feeds = feeds
        self._log = log_heads
        self._metrics = metrics
        self._settings = settings
        self._stale = stale

    async def round(self) -> int:
        """Look at every feed once; returns how many were behind. Raises StoreUnavailable."""
        self.shrink_tails()
        behind = 0
        feeds = list(self._feeds)
        for first in range(0, len(feeds), CHUNK):
            chunk = feeds[first : first + CHUNK]
            heads = await self._log.heads([feed.cid for feed in chunk])
            lost = [feed for feed, head in zip(chunk, heads, strict=True) if differs(feed, head)]
            for feed in lost:
                self._stale(feed)
            behind += len(lost)
            await asyncio.sleep(CHUNK / self._settings.audit_reads_per_s)
        self._metrics.lost_bells.inc(behind)
        return behind

    def shrink_tails(self) -> None:
        """Halve the tails that were used longest ago, until all are within `tails_bytes`."""
        total = sum(feed.tail.bytes for feed in self._feeds)
        for feed in sorted(self._feeds, key=lambda feed: feed.used_at):
            if total <= self._settings.tails_bytes:
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
