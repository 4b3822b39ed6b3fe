"""What makes a conversation with news due: a mark in Redis, once, whatever the number of messages.

A node remembers until when a conversation is marked, so most messages cost one look into a dict. The mark travels
beside the append and is there before the sender is answered: a node that dies in between loses neither, as the sender
sends again and the answer "stored before" marks as well. What can be lost is the mark alone, where Redis does not take
it (another shard of a cluster is away) and this node dies before it does; the next message of that conversation heals
it.

Bounded: REMEMBERED conversations (those that are due soon are forgotten first: a mark too many is harmless), UNMARKED
that wait for Redis (what comes on top is marked by its next message).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from pushpull.errors import PushpullError
from pushpull.model import Cid, Draft
from pushpull.node.appender import AppendLog, Outcome
from pushpull.node.metrics import Metrics

log = logging.getLogger(__name__)

REMEMBERED: Final = 100_000
UNMARKED: Final = 10_000


class MarkStore(Protocol):
    async def mark(self, cids: Sequence[Cid], *, delay_s: float) -> list[float]: ...


class Marks:
    """The conversations that this node knows to be due, or to become so."""

    def __init__(self, jobs: MarkStore, metrics: Metrics, *, delay_s: float) -> None:
        self._jobs = jobs
        self._metrics = metrics
        self._delay_s = delay_s
        self._until: dict[Cid, float] = {}
        self._unmarked: dict[Cid, None] = {}
        self.stopped = False  # nobody is to be notified any more

    def missing(self, cids: Collection[Cid], now: float) -> list[Cid]:
        """Those of `cids` that are not known to be due later than `now`."""
        if self.stopped:
            return []
        until = self._until
        return [cid for cid in cids if until.get(cid, now) <= now]

    async def mark(self, cids: Sequence[Cid]) -> None:
        """Make them due. Where Redis does not take it, they are marked by `mark_missed`."""
        # Before Redis is asked: what it answers holds from a later moment, so this remembers too short, never too long.
        began = time.monotonic()
        try:
            left = await self._jobs.mark(cids, delay_s=self._delay_s)
        except PushpullError as problem:
            log.warning("%s conversations with news are not marked yet: %s", len(cids), problem.message)
            room = UNMARKED - len(self._unmarked)
            self._unmarked.update(dict.fromkeys(cids[:room]))
            return
        self._metrics.offline_marks.inc(len(cids))
        self._make_room(began, len(cids))
        self._until.update((cid, began + min(left_s, self._delay_s)) for cid, left_s in zip(cids, left, strict=True))

    async def mark_missed(self) -> None:
        """Try again what Redis did not take."""
        missed, self._unmarked = list(self._unmarked), {}
        if missed and not self.stopped:
            await self.mark(missed)

    def _make_room(self, now: float, wanted: int) -> None:
        if len(self._until) + wanted <= REMEMBERED:
            return
        self._until = {cid: until for cid, until in self._until.items() if until > now}
        if len(self._until) + wanted > REMEMBERED:
            self._until.clear()


class MarkedLog:
    """A log whose appends make their conversations due; quiet messages ring nobody."""

    def __init__(self, log: AppendLog, marks: Marks) -> None:
        self._log = log
        self._marks = marks

    async def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        cids = {draft.cid for draft in drafts if not draft.quiet}
        missing = self._marks.missing(cids, time.monotonic())
        if missing:
            outcomes, _ = await asyncio.gather(self._log.append(drafts), self._marks.mark(missing))
        else:
            outcomes = await self._log.append(drafts)
        # An append that took longer than the delay may have come after the job that was to see it.
        late = self._marks.missing(cids, time.monotonic())
        if late:
            await self._marks.mark(late)
        return outcomes
