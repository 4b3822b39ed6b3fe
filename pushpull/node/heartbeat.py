"""Saying that this node lives, hearing which others do, and noticing that this one was taken for dead."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pushpull import __version__
from pushpull.node import standing
from pushpull.node.parts import Parts
from pushpull.store.nodes import ALIVE_MS

BEAT_S: Final = 2.0  # three of them missed are death: store.nodes.ALIVE_MS


class Heartbeat:
    def __init__(self, parts: Parts, *, lag_s: Callable[[], float]) -> None:
        """`lag_s`: how late the loop is, for those who list the nodes."""
        self._parts = parts
        self._lag_s = lag_s
        self._started_ms = int(time.time() * 1000)
        self._beaten_at = time.monotonic()  # the last beat was said no earlier than this

    async def beat(self) -> None:
        """Call every BEAT_S. Raises StoreUnavailable."""
        parts = self._parts
        began = time.monotonic()
        alive = await parts.store.nodes.beat(
            parts.node_id,
            {
                "version": __version__,
                "sessions": len(parts.peers),
                "feeds": len(parts.feeds),
                "lag_ms": round(self._lag_s() * 1000, 1),
                "started_at": self._started_ms,
                "draining": parts.draining,
                "receipts": parts.receipts.wanted,
            },
        )
        # A beat whose answer was lost is said again, and Redis answers the second that all is well.
        late = time.monotonic() - self._beaten_at > ALIVE_MS / 1000
        self._beaten_at = began
        if (late or not alive) and len(parts.peers) > 0:
            parts.background.spawn(standing.check(parts), "sessions check")
        parts.receipts.noted(await parts.store.nodes.alive())
        parts.abroad.keep(parts.store.nodes.known)
