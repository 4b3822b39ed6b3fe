"""What a node does again and again that is no part's own affair."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from pushpull.node.load import LoadMeter
from pushpull.node.parts import Parts

SWEEP_S: Final = 600.0
TICK_SLICE: Final = 1000  # sessions looked at between two turns of the loop


class Chores:
    def __init__(self, parts: Parts, load: LoadMeter) -> None:
        self._parts = parts
        self._load = load

    async def tick_sessions(self) -> None:
        """Look at the load, and at each session's clocks. Call once a second."""
        self._load.tick()
        now = time.monotonic()
        for n, peer in enumerate(self._parts.peers):
            peer.tick(now)
            if n % TICK_SLICE == TICK_SLICE - 1:
                await asyncio.sleep(0)
                now = time.monotonic()
        self._parts.metrics.windows.set(len(self._parts.hub.windows))
        self._parts.metrics.feeds.set(len(self._parts.feeds))

    def refuse_late(self) -> None:
        """Refuse the sends that have waited too long. Call twice a second."""
        self._parts.appender.refuse_late(time.monotonic())

    def ring_owed(self) -> None:
        """Ring for those whose cursors moved while there was too much to do. Call once a second."""
        for cid, uid in self._parts.receipts.take_owed():
            self._parts.cursors.move(cid, uid)

    async def keep_house(self) -> None:
        """Close the feeds that nobody looks at, and add up what waits in the buffers."""
        await self._parts.feeds.close_idle(time.monotonic())
        buffered = 0
        for n, peer in enumerate(self._parts.peers):
            buffered += peer.session.connection.buffered
            if n % TICK_SLICE == TICK_SLICE - 1:
                await asyncio.sleep(0)
        self._parts.metrics.buffered_bytes.set(buffered)

    async def sweep(self) -> None:
        """Trim logs by age where nobody appends; one node in SWEEP_S does it. Raises StoreUnavailable."""
        await self._parts.store.sweeper.sweep_all(every_s=SWEEP_S / 2)
