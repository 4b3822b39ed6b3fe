"""Offline notification as one part of a node: marks what has news, works on what is due; nothing at all where no
webhook is named."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from pushpull.delivery.policy import Decision
from pushpull.model import Cid, Head
from pushpull.node.appender import AppendLog
from pushpull.node.background import Background
from pushpull.node.marks import MarkedLog, Marks
from pushpull.node.metrics import Metrics
from pushpull.node.offline import Offline
from pushpull.node.webhook import Webhook
from pushpull.settings import Settings
from pushpull.store.store import Store

ROUND_S: Final = 0.5
JITTER: Final = 0.5
MISSED_S: Final = 1.0
FORGET_S: Final = 600.0
FINISH_S: Final = 5.0
"""How long a node that goes away waits for the calls under way; what is left is another's in a while."""


class Away:
    """`log`: the log to append to."""

    def __init__(
        self,
        store: Store,
        webhook: Webhook | None,
        metrics: Metrics,
        settings: Settings,
        *,
        worker: str,
        mode_of: Callable[[Head, Cid], Decision],
    ) -> None:
        self.log: AppendLog = store.log
        self._store = store
        self._offline: Offline | None = None
        if webhook is None:
            return
        self._marks = Marks(store.jobs, metrics, delay_s=settings.offline.delay_s)
        self.log = MarkedLog(store.log, self._marks)
        self._offline = Offline(
            store,
            webhook,
            self._marks,
            metrics,
            settings=settings,
            worker=worker,
            mode_of=lambda head, cid: mode_of(head, cid).mode,
        )

    def start(self, background: Background) -> None:
        if self._offline is None:
            return
        background.repeat(self._offline.round, every_s=ROUND_S, jitter=JITTER, name="offline notifications")
        background.repeat(self._marks.mark_missed, every_s=MISSED_S, name="marks of news")
        background.repeat(self._store.jobs.forget_workers, every_s=FORGET_S, jitter=JITTER, name="offline workers")

    async def finish(self) -> None:
        """Take no more work, wait a while for what is under way, and write the marks that wait."""
        if self._offline is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                await asyncio.gather(self._offline.finish(), self._marks.mark_missed())

    async def stop(self) -> None:
        """End what is under way; another node finds it."""
        if self._offline is not None:
            await self._offline.stop()
            await self._marks.stop()
