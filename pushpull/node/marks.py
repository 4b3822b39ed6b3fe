"""What makes a conversation with news due: a mark in Redis, once, whatever the number of messages.

A node remembers until when a conversation is marked, so most messages cost one look into a dict. The mark travels
beside the append and is there before the sender is answered: a node that dies in between loses neither, as the sender
sends again and the answer "stored before" marks as well.

A sender does not wait for a mark for longer than PATIENCE_S, and not at all while another mark takes that long: its
messages may be on a shard that is well. Until Redis takes such a mark, it dies with this node; the next message of
that conversation heals it.

Bounded: REMEMBERED conversations (those whose time has come are forgotten first: a mark too many is harmless),
UNMARKED that wait for Redis (what comes on top is marked by its next message).
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
from pushpull.node.background import Background
from pushpull.node.metrics import Metrics

log = logging.getLogger(__name__)

REMEMBERED: Final = 100_000
UNMARKED: Final = 10_000
PATIENCE_S: Final = 0.1


class MarkStore(Protocol):
    async def mark(self, cids: Sequence[Cid], *, delay_s: float) -> list[float | PushpullError]:
        """Make each due; the seconds until it is, or why it is not marked. Raises PushpullError."""


class Marks:
    """The conversations that this node knows to be due, or to become so."""

    def __init__(self, jobs: MarkStore, metrics: Metrics, *, delay_s: float) -> None:
        self._jobs = jobs
        self._metrics = metrics
        self._delay_s = delay_s
        self._until: dict[Cid, float] = {}
        self._unmarked: dict[Cid, None] = {}
        self._under_way = Background()  # at most one for each lane of the appender, and those that are late
        self._late = 0  # marks that took longer than PATIENCE_S and still do
        self.stopped = False  # nobody is to be notified any more

    async def stop(self) -> None:
        """End what is under way."""
        await self._under_way.stop()

    def missing(self, cids: Collection[Cid], now: float) -> list[Cid]:
        """Those of `cids` that are not known to be due later than `now`."""
        if self.stopped:
            return []
        until = self._until
        return [cid for cid in cids if until.get(cid, now) <= now]

    async def mark(self, cids: Sequence[Cid]) -> None:
        """Make them due, or see to it that they will be: returns within about PATIENCE_S."""
        if self._late:
            self._put_aside(cids)
            return
        marking = self._under_way.spawn(self._mark(cids), "mark of news")
        await asyncio.wait([marking], timeout=PATIENCE_S)
        if not marking.done():
            self._late += 1
            marking.add_done_callback(self._late_no_more)

    async def mark_missed(self) -> None:
        """Try again what Redis did not take."""
        missed, self._unmarked = list(self._unmarked), {}
        if missed and not self.stopped:
            await self._mark(missed)

    async def _mark(self, cids: Sequence[Cid]) -> None:
        # Before Redis is asked: what it answers holds from a later moment, so this remembers too short, never too long.
        began = time.monotonic()
        try:
            answers = await self._jobs.mark(cids, delay_s=self._delay_s)
        except PushpullError as problem:
            answers = [problem] * len(cids)
        failed = {cid: answer for cid, answer in zip(cids, answers, strict=True) if isinstance(answer, PushpullError)}
        if failed:
            why = next(iter(failed.values())).message
            log.warning("%s conversations with news are not marked yet: %s", len(failed), why)
            self._put_aside(failed)
        left = {cid: answer for cid, answer in zip(cids, answers, strict=True) if isinstance(answer, float | int)}
        self._metrics.offline_marks.inc(len(left))
        self._make_room(began, len(left))
        self._until.update((cid, began + min(left_s, self._delay_s)) for cid, left_s in left.items())

    def _put_aside(self, cids: Collection[Cid]) -> None:
        room = UNMARKED - len(self._unmarked)
        self._unmarked.update(dict.fromkeys([cid for cid in cids if cid not in self._unmarked][:room]))

    def _late_no_more(self, task: asyncio.Task[None]) -> None:
        self._late -= 1

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
