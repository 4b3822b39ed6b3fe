"""What only Redis knows, asked every SOUND_S and kept for whoever reads the metrics: a scrape asks Redis nothing.

Some ten commands, whatever the number of sessions and conversations, each time and node.
"""

from __future__ import annotations

import time
from typing import Final

from pushpull.node.metrics import Metrics
from pushpull.store.store import Store

SOUND_S: Final = 5.0


class Soundings:
    def __init__(self, store: Store, metrics: Metrics, *, offline: bool) -> None:
        """`offline`: somebody is notified of what was not read."""
        self._store = store
        self._metrics = metrics
        self._offline = offline
        metrics.redis_ok.set(1)  # until asked: the store was opened, which looks at it

    async def round(self) -> None:
        """Ask once. Raises StoreUnavailable where Redis goes away in the midst of it."""
        health = await self._store.health()
        self._metrics.redis_ok.set(health.ok)
        if not health.reachable:
            return
        memory = await self._store.memory()
        self._metrics.redis_memory.put({each.server: each.used_bytes for each in memory})
        self._metrics.redis_memory_max.put({each.server: each.max_bytes for each in memory})
        self._metrics.deletions.set(await self._store.deletions.count())
        if self._offline:
            await self._ask_offline()

    async def _ask_offline(self) -> None:
        counts = await self._store.jobs.counts()
        states = {"due": counts.due, "waiting": counts.waiting, "pending": counts.pending, "dead": counts.dead}
        self._metrics.offline_queue.put(states)
        oldest_ms = await self._store.jobs.oldest_ms()
        owed_s = 0.0 if oldest_ms is None else time.time() - oldest_ms / 1000
        self._metrics.offline_oldest.set(max(0.0, owed_s))  # by two clocks: a little before its time is nothing
