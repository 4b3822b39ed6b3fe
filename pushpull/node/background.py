"""Work that nobody awaits: kept from being collected, its failures logged, all of it ended on stop."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from pushpull.errors import PushpullError

log = logging.getLogger(__name__)

Work = Callable[[], Awaitable[object] | None]


class Background:
    """Each caller bounds what it starts; this only holds it. After `stop` nothing starts any more."""

    def __init__(self) -> None:
        self._stopped = False
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        if self._stopped:  # as for an ack that was on its way: what it would work with is closed
            task.cancel()
        return task

    def repeat(self, work: Work, *, every_s: float | Callable[[], float], name: str, jitter: float = 0.0) -> None:
        """Call `work` again and again, `every_s` after its last end; one failure does not end it.

        `every_s` is asked before each wait where it may change.
        `jitter` (0 to 1): the share of `every_s` by which a wait may be shorter, so that nodes do not act in step.
        """
        self.spawn(self._repeat(work, every_s, jitter, name), name)

    async def stop(self) -> None:
        self._stopped = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _repeat(self, work: Work, every_s: float | Callable[[], float], jitter: float, name: str) -> None:
        while True:
            wait_s = every_s() if callable(every_s) else every_s
            await asyncio.sleep(wait_s * random.uniform(1 - jitter, 1))
            try:
                pending = work()
                if pending is not None:
                    await pending
            except PushpullError as problem:
                log.warning("%s: %s", name, problem.message)
            except Exception:
                log.exception("%s failed and goes on", name)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("%s failed", task.get_name(), exc_info=task.exception())
