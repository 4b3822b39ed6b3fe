"""Questions that come together travel together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.store.batch import BESIDE, UNDER_WAY, Batch


class Oracle:
    """Answers each number with ten times as much; 0 is refused; `hold` makes it wait."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.problem: Exception | None = None

    async def __call__(self, questions: Sequence[int]) -> list[int | PushpullError]:
        self.asked.append(list(questions))
        await self.hold.wait()
        if self.problem is not None:
            raise self.problem
        return [each * 10 if each else StoreUnavailable("refused") for each in questions]


async def test_one_who_comes_alone_waits_for_nobody() -> None:
    oracle = Oracle()
    batch = Batch(oracle)
    assert [await batch.ask(1), await batch.ask(2)] == [10, 20]
    assert oracle.asked == [[1], [2]]


async def test_what_is_asked_in_one_turn_is_one_batch_and_what_is_asked_meanwhile_the_next() -> None:
    oracle = Oracle()
    batch = Batch(oracle)
    oracle.hold.clear()
    first = [batch.ask(1), batch.ask(2)]
    await asyncio.sleep(0)
    later = [batch.ask(3), batch.ask(4)]
    await asyncio.sleep(0)
    assert oracle.asked == [[1, 2]]

    oracle.hold.set()

    assert await asyncio.gather(*first, *later) == [10, 20, 30, 40]
    assert oracle.asked == [[1, 2], [3, 4]]


async def test_a_crowd_goes_in_batches_of_a_size() -> None:
    oracle = Oracle()
    batch = Batch(oracle, most=2)
    assert await asyncio.gather(*(batch.ask(n) for n in range(1, 6))) == [10, 20, 30, 40, 50]
    assert [len(each) for each in oracle.asked] == [2, 2, 1]


async def test_a_crowd_does_not_wait_for_the_batch_before_it() -> None:
    oracle = Oracle()
    batch = Batch(oracle)
    oracle.hold.clear()
    asked = [batch.ask(1)]
    await asyncio.sleep(0)
    asked += [batch.ask(n) for n in range(2, BESIDE + 2)]
    await asyncio.sleep(0)
    assert [len(each) for each in oracle.asked] == [1, BESIDE]

    asked += [batch.ask(n) for n in range(100, 100 + BESIDE)]
    await asyncio.sleep(0)
    assert len(oracle.asked) == UNDER_WAY

    oracle.hold.set()
    assert (await asyncio.gather(*asked))[-1] == 1000 + 10 * (BESIDE - 1)


async def test_who_asks_as_the_last_answer_comes_is_answered_too() -> None:
    oracle = Oracle()
    batch = Batch(oracle)
    first = batch.ask(1)
    again = asyncio.get_running_loop().create_future()
    first.add_done_callback(lambda done: again.set_result(batch.ask(2)))

    assert await (await again) == 20


async def test_a_refused_question_fails_alone() -> None:
    batch = Batch(Oracle())
    found = await asyncio.gather(batch.ask(1), batch.ask(0), batch.ask(2), return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (10, StoreUnavailable, 20)


async def test_a_batch_that_fails_is_told_to_all_of_it_and_the_next_is_asked() -> None:
    oracle = Oracle()
    batch = Batch(oracle)
    oracle.problem = StoreUnavailable("redis is away")
    found = await asyncio.gather(batch.ask(1), batch.ask(2), return_exceptions=True)
    assert [type(each) for each in found] == [StoreUnavailable] * 2

    oracle.problem = None
    assert await batch.ask(3) == 30


async def test_one_who_goes_away_takes_nothing_from_the_others() -> None:
    oracle = Oracle()
    batch = Batch(oracle)
    oracle.hold.clear()
    gone, stays = batch.ask(1), batch.ask(2)
    await asyncio.sleep(0)
    gone.cancel()
    oracle.hold.set()
    assert await stays == 20


async def test_when_the_store_closes_all_who_wait_are_told() -> None:
    oracle = Oracle()
    batch = Batch(oracle)
    oracle.hold.clear()
    under_way = batch.ask(1)
    await asyncio.sleep(0)
    waits = batch.ask(2)

    batch.stop()

    for each in (under_way, waits):
        with pytest.raises(StoreUnavailable):
            await each
