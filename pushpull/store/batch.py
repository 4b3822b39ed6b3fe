"""Questions that come together travel together: one round trip for a crowd, no wait for whoever comes alone.

When 10,000 devices come back at once each asks Redis the same few things of itself. Asked one by one, most of the
time goes into the round trip; so while two batches are under way, whatever is asked next gathers for the one after
them. Two, so that Redis works on one while this process makes something of the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeVar

from pushpull.errors import PushpullError, StoreUnavailable

Question = TypeVar("Question")
Answer = TypeVar("Answer")

AT_ONCE: Final = 32
"""Questions in one batch: those who wait for it go on in one turn of the loop, some 10 ms of work at a connect."""

UNDER_WAY: Final = 2
BESIDE: Final = 8
"""So many must wait before a batch goes out beside another: fewer travel better with those to come."""


class Batch(Generic[Question, Answer]):
    """One kind of question, asked in batches, in no particular order.

    Bounded by those who wait: each has one question here at a time.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | PushpullError]]],
        *,
        most: int = AT_ONCE,
    ) -> None:
        """`answer` takes at most `most` questions and returns an answer for each, in order, or the error of that one.

        What it raises is raised to all who asked.
        """
        self._answer = answer
        self._most = most
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, question: Question) -> asyncio.Future[Answer]:
        """The answer to come. It raises what `answer` raised, or returned for this question."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if not self._tasks or (len(self._tasks) < UNDER_WAY and len(self._waiting) >= BESIDE):
            self._tasks.add(asyncio.create_task(self._ask_all(), name="batch"))
        return future

    def stop(self) -> None:
        """End what is under way; those who wait are told StoreUnavailable."""
        for task in self._tasks:
            task.cancel()

    async def _ask_all(self) -> None:
        batch: list[tuple[Question, asyncio.Future[Answer]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._ask_batch(batch)
        except asyncio.CancelledError:
            _fail(batch + self._waiting, StoreUnavailable("the store is being closed"))
            self._waiting = []
            raise
        finally:
            self._tasks.discard(asyncio.current_task())

    async def _ask_batch(self, batch: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._answer([question for question, _ in batch])
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue  # whoever asked went away meanwhile
                if isinstance(answer, PushpullError):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
        except Exception as problem:
            _fail(batch, problem)


class Batches(Generic[Question, Answer]):
    """A Batch for each lane: what is asked of a shard that is away keeps nobody of another lane waiting."""

    def __init__(self, answer: Callable[[Sequence[Question]], Awaitable[Sequence[Answer | PushpullError]]]) -> None:
        """See Batch; the questions that `answer` gets together are of one lane."""
        self._answer = answer
        self._lanes: dict[int, Batch[Question, Answer]] = {}

    def ask(self, question: Question, *, lane: int) -> asyncio.Future[Answer]:
        """See Batch.ask."""
        batch = self._lanes.get(lane)
        if batch is None:
            batch = self._lanes[lane] = Batch(self._answer)
        return batch.ask(question)

    def stop(self) -> None:
        """See Batch.stop."""
        for batch in self._lanes.values():
            batch.stop()


def _fail(batch: Sequence[tuple[Question, asyncio.Future[Answer]]], problem: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(problem)
