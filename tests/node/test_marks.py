"""A conversation with news is marked once, before the sender is answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Cid, Draft, LogId, Sent, Uid
from pushpull.node import marks as module
from pushpull.node.appender import Outcome
from pushpull.node.marks import MarkedLog, Marks
from pushpull.node.metrics import Metrics
from tests.node.fakes import Clock, turns

A, B = Cid("a"), Cid("b")


class FakeJobs:
    def __init__(self) -> None:
        self.marked: list[list[Cid]] = []
        self.left_s: float | None = None  # what is left of a mark that is there already
        self.away = False
        self.refused: set[Cid] = set()
        self.hold: asyncio.Event | None = None

    async def mark(self, cids: Sequence[Cid], *, delay_s: float) -> list[float | PushpullError]:
        await asyncio.sleep(0)
        if self.hold is not None:
            await self.hold.wait()
        if self.away:
            raise StoreUnavailable("redis cannot be reached")
        left_s = delay_s if self.left_s is None else self.left_s
        self.marked.append(sorted(set(cids) - self.refused))
        return [StoreUnavailable("shard is away") if cid in self.refused else left_s for cid in cids]


class FakeLog:
    """Takes its time: `takes_s` by the clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.takes_s = 0.0
        self.problem: StoreUnavailable | None = None

    async def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        await turns(5)
        self.clock.now += self.takes_s
        if self.problem is not None:
            raise self.problem
        return [Sent(draft.cid, draft.cmid, LogId("1-1"), False) for draft in drafts]


class Bench:
    def __init__(self, clock: Clock) -> None:
        self.clock, self.jobs, self.log, self.metrics = clock, FakeJobs(), FakeLog(clock), Metrics()
        self.marks = Marks(self.jobs, self.metrics, delay_s=30)
        self.marked_log = MarkedLog(self.log, self.marks)

    async def send(self, *cids: Cid, quiet: bool = False) -> list[Outcome]:
        drafts = [Draft(cid=cid, sender=Uid("alice"), cmid="c", body=b"1", quiet=quiet) for cid in cids]
        return await self.marked_log.append(drafts)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return Bench(clock)


async def test_many_messages_are_one_mark(bench: Bench) -> None:
    for _ in range(100):
        await bench.send(A, B, A)
        bench.clock.now += 0.25
    assert bench.jobs.marked == [[A, B]]
    assert bench.metrics.offline_marks.value == 2


async def test_after_it_was_due_the_next_message_marks_again(bench: Bench) -> None:
    await bench.send(A)
    bench.clock.now += 29.9
    await bench.send(A)
    assert bench.jobs.marked == [[A]]
    bench.clock.now += 0.1
    await bench.send(A)
    assert bench.jobs.marked == [[A], [A]]


async def test_a_mark_of_another_node_is_remembered_for_as_long_as_it_has_left(bench: Bench) -> None:
    bench.jobs.left_s = 5
    await bench.send(A)
    bench.clock.now += 5
    await bench.send(A)
    assert len(bench.jobs.marked) == 2


async def test_a_mark_that_is_far_off_is_not_trusted_for_longer_than_the_delay(bench: Bench) -> None:
    bench.jobs.left_s = 3_600
    await bench.send(A)
    bench.clock.now += 30
    await bench.send(A)
    assert len(bench.jobs.marked) == 2


async def test_quiet_messages_mark_nothing(bench: Bench) -> None:
    await bench.send(A, quiet=True)
    assert bench.jobs.marked == []


async def test_the_mark_is_there_when_the_sender_is_answered(bench: Bench) -> None:
    bench.jobs.hold = asyncio.Event()
    sending = asyncio.ensure_future(bench.send(A))
    await turns()
    assert not sending.done()
    bench.jobs.hold.set()
    assert isinstance((await sending)[0], Sent)


async def test_no_sender_waits_while_a_mark_takes_long(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0)
    bench.jobs.hold = asyncio.Event()
    assert isinstance((await bench.send(A))[0], Sent)
    monkeypatch.setattr(module, "PATIENCE_S", 3_600)
    assert isinstance((await bench.send(B))[0], Sent), "another is late: this one does not even try"
    bench.jobs.hold.set()
    await turns()
    await bench.marks.mark_missed()
    assert bench.jobs.marked == [[A], [A, B]]
    await bench.send(Cid("c"))
    assert bench.jobs.marked[-1] == ["c"], "it is over"
    await bench.marks.stop()


async def test_a_shard_that_is_away_keeps_no_others_from_being_marked(bench: Bench) -> None:
    bench.jobs.refused = {A}
    await bench.send(A, B)
    bench.jobs.refused = set()
    await bench.send(B)
    await bench.marks.mark_missed()
    assert [B] in bench.jobs.marked
    assert bench.jobs.marked[-1] == [A]


async def test_an_append_that_outlasts_the_delay_marks_again(bench: Bench) -> None:
    bench.log.takes_s = 31
    await bench.send(A)
    assert bench.jobs.marked == [[A], [A]], "the first job may have looked before the message was there"


async def test_a_mark_that_redis_does_not_take_fails_no_send_and_is_made_later(bench: Bench) -> None:
    bench.jobs.away = True
    (outcome,) = await bench.send(A)
    assert isinstance(outcome, Sent)
    bench.jobs.away = False
    await bench.marks.mark_missed()
    assert bench.jobs.marked == [[A]]
    await bench.marks.mark_missed()
    assert bench.jobs.marked == [[A]]


async def test_a_failed_append_is_the_senders_to_repeat(bench: Bench) -> None:
    bench.log.problem = StoreUnavailable("redis cannot be reached")
    with pytest.raises(StoreUnavailable):
        await bench.send(A)


async def test_what_is_remembered_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    await bench.send(A)
    bench.clock.now += 30
    await bench.send(B, Cid("c"))
    assert len(bench.marks._until) == 2, "what was due went first"
    await bench.send(Cid("d"))
    assert list(bench.marks._until) == ["d"]


async def test_what_waits_for_redis_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UNMARKED", 2)
    bench.jobs.away = True
    await bench.send(A, B, Cid("c"))
    await bench.send(Cid("d"))
    assert len(bench.marks._unmarked) == 2


async def test_nobody_is_marked_once_the_receiver_is_gone(bench: Bench) -> None:
    bench.marks.stopped = True
    await bench.send(A)
    assert bench.jobs.marked == []
