"""Group commit: one batch in flight, what arrives meanwhile is the next."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pushpull.errors import CmidConflict, PushpullError, StoreUnavailable
from pushpull.model import Cid, Cursors, Draft, LogId, Sent
from pushpull.node import appender as appender_module
from pushpull.node.appender import Appender, Outcome
from pushpull.node.metrics import Metrics
from tests.delivery.words import ALICE, ROOM
from tests.node.fakes import turns

Answer = Callable[[Draft], Outcome]


class Log:
    """Stores what comes, in batches that end when a test says so."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.problem: Exception | None = None
        self.answer: Answer = lambda draft: Sent(draft.cid, draft.cmid, LogId("1-1"), False)

    async def append(self, drafts: Sequence[Draft]) -> list[Outcome]:
        self.batches.append([draft.cmid for draft in drafts])
        await self.hold.wait()
        if self.problem is not None:
            raise self.problem
        return [self.answer(draft) for draft in drafts]


def draft(cmid: str, **changes: Any) -> Draft:
    return Draft(**{"cid": ROOM, "sender": ALICE, "cmid": cmid, "body": b"1", "chain": "s1"} | changes)


@pytest.fixture
async def log() -> Log:
    return Log()


@pytest.fixture
async def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def appender(log: Log, metrics: Metrics) -> Appender:
    return Appender(log, metrics, waiting_max=3)


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"pushpull_{name}", labels) or 0.0


async def test_a_lone_send_waits_for_nobody(appender: Appender, log: Log, metrics: Metrics) -> None:
    sent = await appender.append(draft("a"))

    assert (sent.cmid, log.batches) == ("a", [["a"]])
    assert count(metrics, "appends_total") == 1


async def test_what_arrives_while_a_batch_is_in_flight_is_the_next_batch_in_order(appender: Appender, log: Log) -> None:
    log.hold.clear()
    first = appender.submit(draft("a"))
    await turns()
    later = [appender.submit(draft(cmid)) for cmid in ("b", "c", "d")]
    await turns()
    assert log.batches == [["a"]]

    log.hold.set()
    outcomes = await asyncio.gather(first, *later)

    assert log.batches == [["a"], ["b", "c", "d"]]
    assert [outcome.cmid for outcome in outcomes if isinstance(outcome, Sent)] == ["a", "b", "c", "d"]


async def test_those_of_a_batch_are_answered_while_the_next_is_under_way(
    appender: Appender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender_module, "BATCH_MESSAGES", 1)
    first, second = appender.submit(draft("a")), appender.submit(draft("b"))
    first.add_done_callback(lambda done: under_way.append([*log.batches]))
    under_way: list[list[list[str]]] = []

    await asyncio.gather(first, second)

    assert under_way == [[["a"], ["b"]]]


async def test_where_one_failed_the_senders_are_answered_before_the_next_batch_goes(
    appender: Appender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender_module, "BATCH_MESSAGES", 1)
    log.answer = lambda draft: CmidConflict("x") if draft.cmid == "a" else Sent(ROOM, "", LogId("1-1"), False)
    told: list[tuple[str, int]] = []
    for cmid, chain in (("a", "s1"), ("b", "s1"), ("c", "s2")):
        appender.take(draft(cmid, chain=chain), lambda outcome, cmid=cmid: told.append((cmid, len(log.batches))))  # type: ignore[misc]
    await appender.finish()

    assert told == [("a", 1), ("b", 1), ("c", 2)]
    assert log.batches == [["a"], ["c"]]


async def test_an_answer_that_cannot_be_told_does_not_stop_the_others(
    appender: Appender, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    appender.take(draft("a"), lambda outcome: 1 / 0)  # type: ignore[arg-type,return-value]
    assert isinstance(await appender.submit(draft("b")), Sent)

    assert [record.message for record in caplog.records] == ["a sender could not be answered"]


async def test_one_more_than_may_wait_is_refused_at_once(appender: Appender, log: Log, metrics: Metrics) -> None:
    log.hold.clear()
    waiting = [appender.submit(draft(cmid)) for cmid in ("a", "b", "c")]

    refused = appender.submit(draft("d")).result()

    assert isinstance(refused, StoreUnavailable)
    assert "nothing was stored" in refused.message
    assert count(metrics, "refused_sends_total", code="store_unavailable") == 1
    log.hold.set()
    await asyncio.gather(*waiting)
    assert "d" not in log.batches[0]
    assert isinstance(await appender.submit(draft("e")), Sent)


@pytest.mark.parametrize(("bound", "value"), [("BATCH_MESSAGES", 2), ("BATCH_BYTES", 15)])
async def test_a_batch_is_bounded_in_messages_and_in_bytes(
    appender: Appender, log: Log, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    monkeypatch.setattr(appender_module, bound, value)

    await asyncio.gather(*(appender.submit(draft(cmid, body=b"0123456789")) for cmid in ("a", "b", "c")))

    assert log.batches == [["a", "b"], ["c"]]


async def test_one_draft_over_the_bytes_goes_alone(
    appender: Appender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender_module, "BATCH_BYTES", 1)

    await asyncio.gather(*(appender.submit(draft(cmid, body=b"0123456789")) for cmid in ("a", "b")))

    assert log.batches == [["a"], ["b"]]


async def test_after_a_draft_fails_those_of_its_chain_that_wait_behind_it_fail_too(
    appender: Appender, log: Log
) -> None:
    log.answer = lambda draft: (
        CmidConflict("another body") if draft.cmid == "a" else Sent(ROOM, "", LogId("1-1"), False)
    )
    log.hold.clear()
    first = appender.submit(draft("a"))
    await turns()
    behind = appender.submit(draft("b"))
    other_room = appender.submit(draft("c", cid=Cid("other")))
    other_chain = appender.submit(draft("d", chain="s2"))
    log.hold.set()
    outcomes = await asyncio.gather(first, behind, other_room, other_chain)

    assert [type(outcome) for outcome in outcomes] == [CmidConflict, StoreUnavailable, Sent, Sent]
    assert log.batches == [["a"], ["c", "d"]]
    assert isinstance(await appender.submit(draft("b")), Sent)


async def test_drafts_without_a_chain_do_not_fail_each_other(appender: Appender, log: Log) -> None:
    log.answer = lambda draft: CmidConflict("x") if draft.cmid == "a" else Sent(ROOM, "", LogId("1-1"), False)
    log.hold.clear()
    first = appender.submit(draft("a", chain=""))
    await turns()
    second = appender.submit(draft("b", chain=""))
    log.hold.set()

    assert [type(outcome) for outcome in await asyncio.gather(first, second)] == [CmidConflict, Sent]


async def test_an_error_is_raised_to_the_one_who_appends(appender: Appender, log: Log) -> None:
    log.answer = lambda draft: CmidConflict("another body is stored")

    with pytest.raises(CmidConflict, match="another body is stored"):
        await appender.append(draft("a"))


@pytest.mark.parametrize("problem", [StoreUnavailable("redis is away"), ZeroDivisionError()])
async def test_a_batch_that_fails_as_a_whole_fails_each_of_it_and_the_next_is_tried(
    appender: Appender, log: Log, problem: Exception
) -> None:
    log.problem = problem
    outcomes = await asyncio.gather(*(appender.submit(draft(cmid, chain="")) for cmid in ("a", "b")))
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2

    log.problem = None
    assert isinstance(await appender.submit(draft("c")), Sent)


async def test_a_sender_who_went_away_does_not_stop_the_others(appender: Appender, log: Log) -> None:
    log.hold.clear()
    gone, stays = appender.submit(draft("a")), appender.submit(draft("b"))
    await turns()
    gone.cancel()
    log.hold.set()

    assert isinstance(await stays, Sent)
    assert log.batches == [["a", "b"]]


async def test_finish_waits_until_nothing_waits(appender: Appender, log: Log) -> None:
    log.hold.clear()
    futures = [appender.submit(draft("a"))]
    await turns()
    futures.append(appender.submit(draft("b")))
    finishing = asyncio.create_task(appender.finish())
    await turns()
    assert not finishing.done()

    log.hold.set()
    await finishing

    assert all(future.done() for future in futures)
    await appender.finish()


async def test_a_duplicate_is_counted_as_one(appender: Appender, log: Log, metrics: Metrics) -> None:
    log.answer = lambda draft: Sent(draft.cid, draft.cmid, LogId("1-1"), True)
    await appender.append(draft("a"))

    assert (count(metrics, "duplicates_total"), count(metrics, "appends_total")) == (1, 0)


async def test_where_a_sender_stands_after_its_sends_is_told_once_a_batch(log: Log, metrics: Metrics) -> None:
    told: list[object] = []
    appender = Appender(log, metrics, waiting_max=9, moved=lambda *moved: told.append(moved))
    stands = {"a": Cursors(1, 1, 0, 1), "b": Cursors(2, 2, 0, 2)}
    log.answer = lambda draft: Sent(ROOM, draft.cmid, LogId("1-1"), False, stands.get(draft.cmid))

    await asyncio.gather(*(appender.submit(draft(cmid)) for cmid in ("a", "b", "c")))

    assert told == [(ROOM, ALICE, stands["b"], "s1")]


def test_an_outcome_is_what_was_stored_or_why_not() -> None:
    assert Outcome == Sent | PushpullError


async def test_past_the_bytes_that_may_wait_a_send_is_refused_until_there_is_room_again(
    appender: Appender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender_module, "WAITING_BYTES", 100)
    log.hold.clear()
    under_way = appender.submit(draft("a"))
    await turns()
    large = appender.submit(draft("b", body=b"x" * 60))

    refused = await appender.submit(draft("c", body=b"x" * 60))
    log.hold.set()
    await asyncio.gather(under_way, large)

    assert isinstance(refused, StoreUnavailable)
    assert isinstance(await appender.submit(draft("c", body=b"x" * 60)), Sent)


async def test_a_lane_that_is_held_up_keeps_no_other_waiting(log: Log, metrics: Metrics) -> None:
    slow = asyncio.Event()

    async def append(drafts: Sequence[Draft]) -> list[Outcome]:
        if drafts[0].cid == "slow":
            await slow.wait()
        return [log.answer(draft) for draft in drafts]

    log.append = append  # type: ignore[method-assign]
    appender = Appender(log, metrics, waiting_max=2, lane=lambda cid: len(cid))
    held = appender.submit(draft("a", cid=Cid("slow")))
    await turns()

    assert isinstance(await appender.submit(draft("b", cid=Cid("other"))), Sent)
    assert isinstance(await appender.submit(draft("c", cid=Cid("another"))), Sent)
    waiting = [appender.submit(draft(cmid, cid=Cid("slow"))) for cmid in ("d", "e")]
    assert isinstance(appender.submit(draft("f", cid=Cid("another"))).result(), StoreUnavailable)  # bound over all
    assert not held.done()
    slow.set()
    await asyncio.gather(held, *waiting)
    await appender.finish()


async def test_what_has_waited_too_long_is_refused_without_being_stored(
    appender: Appender, log: Log, metrics: Metrics
) -> None:
    log.hold.clear()
    under_way = appender.submit(draft("a"))
    await turns()
    late = [appender.submit(draft(cmid, chain=cmid)) for cmid in ("b", "c")]

    appender.refuse_late(time.monotonic() + appender_module.WAIT_S - 1)
    assert not any(each.done() for each in late)
    appender.refuse_late(time.monotonic() + appender_module.WAIT_S + 0.1)

    assert [type(each.result()) for each in late] == [StoreUnavailable] * 2
    assert (appender.waiting_share, count(metrics, "waiting_sends")) == (0.0, 0)
    log.hold.set()
    assert isinstance(await under_way, Sent)
    assert log.batches == [["a"]]


async def test_those_behind_one_that_waited_too_long_fail_with_it(
    appender: Appender, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = time.monotonic()
    log.hold.clear()
    appender.submit(draft("a"))
    await turns()
    late = appender.submit(draft("b"))
    monkeypatch.setattr(appender_module.time, "monotonic", lambda: since + 3.0)
    behind, other = appender.submit(draft("c")), appender.submit(draft("d", chain="s2"))

    appender.refuse_late(since + appender_module.WAIT_S + 1.0)

    assert (late.done(), behind.done(), other.done()) == (True, True, False)
    log.hold.set()
    assert isinstance(await other, Sent)
    assert log.batches == [["a"], ["d"]]
