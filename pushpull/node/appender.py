"""Group commit: sends that arrive together travel to Redis in one pipeline.

One batch is in flight in each lane. What arrives meanwhile waits and is the next batch, so the batch grows with the
load and a lone send waits for nobody; a shard that is away keeps nobody of another lane waiting. Order: a batch is
handed over in the order taken, and after a draft fails, those of its chain that wait behind it fail too (the store sees
to it inside a batch).

The senders of a batch are answered while Redis works on the next, ANSWERED_AT_ONCE at a time; only where one of them
failed, which decides what may go next, they are answered before. This is the hot path of a send.

Bounded: `limits.waiting_sends` and WAITING_BYTES of bodies, over all lanes; one more is refused with StoreUnavailable,
at once. Nor does one wait for ever: after WAIT_S it is refused, having been stored nowhere.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Cid, Cursors, Draft, Sent, SessionId, Uid
from pushpull.node.lanes import Lane, one_lane
from pushpull.node.metrics import Metrics
from pushpull.node.spans import Spans

log = logging.getLogger(__name__)

BATCH_MESSAGES: Final = 512
BATCH_BYTES: Final = 4 * 1024 * 1024  # of bodies: what one pipeline may hold in memory twice
WAITING_BYTES: Final = 64 * 1024 * 1024  # of bodies: `waiting_sends` of the largest would be ten times as much

WAIT_S: Final = 5.0
"""For a batch of its own. A person has looked up by then, and a program has other nodes to try; both send it again."""

ANSWERED_AT_ONCE: Final = 64
"""Answers between two turns of the loop, so that the next batch is on its way before the last of this one is told."""

Outcome = Sent | PushpullError
Answer = Callable[[Outcome], None]
"""Told once what became of a draft. It must not wait and should not raise."""

_Waiting = tuple[Draft, Answer, float]
"""A draft, whom to tell, and since when (s) it waits."""

_Told = tuple[Draft, Answer, float, Outcome]


class AppendLog(Protocol):
    async def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Store the drafts; one outcome each, in order. Raises PushpullError where none is known."""


class _Waits:
    """What waits in one lane, and the task that sends it."""

    __slots__ = ("rows", "task")

    def __init__(self) -> None:
        self.rows: deque[_Waiting] = deque()
        self.task: asyncio.Task[None] | None = None


class Appender:
    def __init__(
        self,
        log: AppendLog,
        metrics: Metrics,
        *,
        waiting_max: int,
        moved: Callable[[Cid, Uid, Cursors, SessionId], None] = lambda cid, uid, cursors, by: None,
        lane: Lane = one_lane,
        spans: Spans | None = None,
    ) -> None:
        """`moved` is called once a batch for each sender whose cursors its sends moved, with where they are then and
        the session that sent last ("": none)."""
        self._moved = moved
        self._log = log
        self._metrics = metrics
        self._waiting_max = waiting_max
        self._lane = lane
        self._spans = spans
        self._lanes: dict[int, _Waits] = {}
        self._waiting = 0  # over all lanes, as are the bytes
        self._waiting_bytes = 0

    @property
    def waiting(self) -> int:
        """Sends that wait, or are on their way."""
        return self._waiting

    @property
    def waiting_share(self) -> float:
        """How much of `limits.waiting_sends` is taken, 0 to 1."""
        return self._waiting / self._waiting_max

    def take(self, draft: Draft, answer: Answer) -> None:
        """Append `draft` with what waits already, and tell `answer` what became of it; at once where too much waits."""
        if self._waiting >= self._waiting_max or self._waiting_bytes + len(draft.body) > WAITING_BYTES:
            self._metrics.refusals.labels(StoreUnavailable.code).inc()
            problem = f"{self._waiting} sends are waiting for the log already: nothing was stored"
            answer(StoreUnavailable(problem, retry_after_ms=1000))
            return
        lane = self._lane(draft.cid)
        waits = self._lanes.get(lane)
        if waits is None:
            waits = self._lanes[lane] = _Waits()
        waits.rows.append((draft, answer, time.monotonic()))
        self._waiting += 1
        self._waiting_bytes += len(draft.body)
        if waits.task is None:
            waits.task = asyncio.create_task(self._drain(waits), name="appender")

    def submit(self, draft: Draft) -> asyncio.Future[Outcome]:
        """Take a draft; the future's result is Sent or the error (it is never raised, so it may be dropped)."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.take(draft, partial(_resolve, future))
        return future

    async def append(self, draft: Draft) -> Sent:
        """Append one draft; raises its PushpullError."""
        outcome = await self.submit(draft)
        if isinstance(outcome, PushpullError):
            raise outcome
        return outcome

    def refuse_late(self, now: float) -> None:
        """Refuse what has waited for longer than WAIT_S: Redis is slow or away. Call now and then."""
        for waits in self._lanes.values():
            late: set[tuple[str, Cid]] = set()
            while waits.rows and now - waits.rows[0][2] > WAIT_S:
                draft, answer, _ = waits.rows.popleft()
                self._waiting -= 1
                self._waiting_bytes -= len(draft.body)
                self._metrics.refusals.labels(StoreUnavailable.code).inc()
                answer(StoreUnavailable(f"waited {WAIT_S:g} s for the log: nothing was stored", retry_after_ms=1000))
                late.add((draft.chain, draft.cid))
            self._fail_behind(waits, late)
        self._metrics.waiting_sends.set(self._waiting)

    async def finish(self) -> None:
        """Wait until nothing waits any more."""
        while tasks := [waits.task for waits in self._lanes.values() if waits.task is not None]:
            await asyncio.wait(tasks)

    async def _drain(self, waits: _Waits) -> None:
        told: list[_Told] = []  # whom the batch before has still to answer
        try:
            while waits.rows:
                batch = self._take_batch(waits.rows)
                outcomes = await self._append([draft for draft, _, _ in batch], meanwhile=told)
                told = [(*row, outcome) for row, outcome in zip(batch, outcomes, strict=True)]
                failed = {(draft.chain, draft.cid) for draft, _, _, outcome in told if not isinstance(outcome, Sent)}
                if failed or not waits.rows:
                    self._tell(told)
                    told = []
                    self._fail_behind(waits, failed)
        finally:
            waits.task = None

    def _take_batch(self, rows: deque[_Waiting]) -> list[_Waiting]:
        batch = [rows.popleft()]
        size = len(batch[0][0].body)
        while rows and len(batch) < BATCH_MESSAGES and size < BATCH_BYTES:
            batch.append(rows.popleft())
            size += len(batch[-1][0].body)
        self._waiting -= len(batch)
        self._waiting_bytes -= size
        self._metrics.waiting_sends.set(self._waiting)
        return batch

    async def _append(self, drafts: list[Draft], *, meanwhile: list[_Told]) -> Sequence[Outcome]:
        """Store the drafts, and answer `meanwhile` while that is under way."""
        if not meanwhile:
            return await self._store(drafts)
        storing = asyncio.create_task(self._store(drafts), name="append")
        for first in range(0, len(meanwhile), ANSWERED_AT_ONCE):
            await asyncio.sleep(0)
            self._tell(meanwhile[first : first + ANSWERED_AT_ONCE])
        return await storing

    async def _store(self, drafts: list[Draft]) -> Sequence[Outcome]:
        try:
            return await self._log.append(drafts)
        except PushpullError as problem:
            return [problem] * len(drafts)
        except Exception:
            log.exception("a batch of %s appends failed", len(drafts))
            return [StoreUnavailable("the append failed, what was stored is not known")] * len(drafts)

    def _tell(self, told: Sequence[_Told]) -> None:
        now = time.monotonic()
        moved: dict[tuple[Cid, Uid], tuple[Cursors, SessionId]] = {}
        for draft, answer, since, outcome in told:
            self._count(outcome)
            self._metrics.append_seconds.observe(now - since)
            if self._spans is not None and isinstance(outcome, Sent):
                self._spans.sent(outcome, now - since)
            if isinstance(outcome, Sent) and outcome.moved is not None and draft.sender is not None:
                moved[draft.cid, draft.sender] = outcome.moved, SessionId(draft.chain)
            try:
                answer(outcome)
            except Exception:
                log.exception("a sender could not be answered")
        for (cid, uid), (cursors, by) in moved.items():
            self._moved(cid, uid, cursors, by)

    def _fail_behind(self, waits: _Waits, failed: set[tuple[str, Cid]]) -> None:
        """Fail what waits behind a draft of the same chain and conversation that failed; a draft may have no chain."""
        failed = {behind for behind in failed if behind[0]}
        if not failed:
            return
        rows, waits.rows = waits.rows, deque()
        for row in rows:
            draft, answer, _ = row
            if (draft.chain, draft.cid) not in failed:
                waits.rows.append(row)
            else:
                self._waiting -= 1
                self._waiting_bytes -= len(draft.body)
                answer(StoreUnavailable("a send before it failed: retry in order, with the same cmids"))

    def _count(self, outcome: Outcome) -> None:
        if isinstance(outcome, PushpullError):
            self._metrics.refusals.labels(outcome.code).inc()
        elif outcome.dup:
            self._metrics.duplicates.inc()
        else:
            self._metrics.appends.inc()


def _resolve(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
