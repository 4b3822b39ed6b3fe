"""Conversations become due once, are worked on by one, and are retried or given up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pushpull.model import Cid
from pushpull.store import Store
from pushpull.store.jobs import SHARDS, Jobs, shard_of
from pushpull.store.values import Job, JobCounts

CIDS = [Cid(f"c{n}") for n in range(12)]


@pytest.fixture
def jobs(store: Store) -> Jobs:
    return store.jobs


@pytest.fixture
def make_jobs(store: Store) -> Callable[[float], Jobs]:
    """Jobs that are let lie after so many seconds of silence."""
    return lambda idle_s: Jobs(store._wire, store._keys, idle_s=idle_s)


async def due(jobs: Jobs, *cids: Cid) -> None:
    assert await jobs.mark(cids, delay_s=0) == [0] * len(cids)


def cids(taken: list[Job]) -> list[Cid]:
    return sorted(job.cid for job in taken)


def test_conversations_spread_over_the_shards() -> None:
    assert {shard_of(Cid(f"c{n}")) for n in range(50)} == set(range(SHARDS))


async def test_a_conversation_is_due_once_whatever_the_number_of_messages(jobs: Jobs) -> None:
    assert await jobs.mark(CIDS, delay_s=30) == [30] * 12
    for _ in range(3):
        left = await jobs.mark([CIDS[0]], delay_s=60)
        assert 29 < left[0] <= 30, "the first mark counts"
    assert await jobs.counts() == JobCounts(due=12, waiting=0, pending=0, dead=0)
    assert await jobs.take("w", most=16) == []


async def test_what_is_due_is_taken_once_by_one_worker(jobs: Jobs) -> None:
    await due(jobs, *CIDS)
    first, second = await jobs.take("w1", most=4), await jobs.take("w2", most=100)
    assert cids(first + second) == sorted(CIDS)
    assert len(first) == 4
    assert {(job.tries, job.taken) for job in first + second} == {(0, 1)}
    assert await jobs.take("w1", most=100) == []
    assert (await jobs.counts()).pending == 12


async def test_a_job_that_is_done_is_gone_and_its_conversation_can_be_due_again(jobs: Jobs) -> None:
    await due(jobs, *CIDS)
    await jobs.finish(await jobs.take("w", most=100))
    assert await jobs.counts() == JobCounts(0, 0, 0, 0)
    await due(jobs, CIDS[0])
    assert cids(await jobs.take("w", most=4)) == [CIDS[0]]


async def test_news_during_a_job_wait_for_its_end(jobs: Jobs) -> None:
    await due(jobs, CIDS[0])
    (job,) = await jobs.take("w1", most=1)
    await due(jobs, CIDS[0])
    assert await jobs.take("w2", most=1) == []
    await jobs.finish([job])
    assert await jobs.counts() == JobCounts(due=1, waiting=0, pending=0, dead=0)


async def test_a_silent_workers_job_goes_to_another_who_learns_how_often_it_was_taken(
    jobs: Jobs, make_jobs: Callable[[float], Jobs]
) -> None:
    await due(jobs, CIDS[0])
    (job,) = await jobs.take("dead", most=1)
    assert await jobs.take("w", most=1) == [], "it is not silent for long"
    impatient = make_jobs(0)
    (taken,) = await impatient.take("w", most=1)
    assert (taken.id, taken.cid, taken.taken) == (job.id, CIDS[0], 2)
    assert (await jobs.keep("w", taken), await jobs.keep("dead", job)) == (True, False)
    (again,) = await impatient.take("third", most=1)
    assert again.taken == 3


async def test_keeping_a_job_is_no_further_delivery(jobs: Jobs, make_jobs: Callable[[float], Jobs]) -> None:
    await due(jobs, CIDS[0])
    (job,) = await jobs.take("w", most=1)
    for _ in range(3):
        assert await jobs.keep("w", job)
    (taken,) = await make_jobs(0).take("w2", most=1)
    assert taken.taken == 2
    await jobs.finish([taken])
    assert not await jobs.keep("w2", taken)


async def test_a_failed_job_is_due_again_with_its_tries(jobs: Jobs) -> None:
    await due(jobs, CIDS[0])
    for tries in range(3):
        (job,) = await jobs.take("w", most=1)
        assert (job.tries, job.taken) == (tries, 1)
        await jobs.retry(job, delay_s=0, tries=tries + 1)
        await jobs.retry(job, delay_s=0, tries=tries + 1)  # a repeated call counts once
    (job,) = await jobs.take("w", most=1)
    await jobs.finish([job])
    await due(jobs, CIDS[0])
    assert [job.tries for job in await jobs.take("w", most=1)] == [0], "one that was done begins anew"


async def test_putting_off_is_no_failed_try(jobs: Jobs) -> None:
    await due(jobs, CIDS[0])
    (job,) = await jobs.take("w", most=1)
    await jobs.retry(job, delay_s=0, tries=0)
    assert [job.tries for job in await jobs.take("w", most=1)] == [0]


async def test_a_retry_waits_for_its_time_and_news_do_not_bring_it_forward(jobs: Jobs) -> None:
    await due(jobs, CIDS[0])
    (job,) = await jobs.take("w", most=1)
    await due(jobs, CIDS[0])  # while it was under way
    await jobs.retry(job, delay_s=40, tries=1)
    left = await jobs.mark([CIDS[0]], delay_s=0)
    assert 39 < left[0] <= 40
    assert await jobs.take("w", most=1) == []


async def test_a_mark_that_is_too_far_off_was_made_by_a_clock_that_went_wrong(jobs: Jobs) -> None:
    await jobs.mark(CIDS[:1], delay_s=30 + 3_700)
    assert await jobs.mark(CIDS[:1], delay_s=30) == [30]
    await jobs.mark(CIDS[1:2], delay_s=30 + 3_500)
    (left,) = await jobs.mark(CIDS[1:2], delay_s=30)
    assert isinstance(left, float)
    assert left > 3_500, "a receiver asked for a pause"


async def test_where_the_jobs_were_lost_their_conversations_have_new_ones(jobs: Jobs, store: Store) -> None:
    await due(jobs, CIDS[0])
    await jobs.take("w", most=100)
    await store._wire.commands([("DEL", store._keys.jobs(shard_of(CIDS[0]), "jobs"))], again=True)
    await due(jobs, CIDS[0])
    assert cids(await jobs.take("w", most=100)) == [CIDS[0]]


async def test_a_job_that_is_given_up_is_a_dead_letter_until_it_is_requeued(jobs: Jobs) -> None:
    await due(jobs, *CIDS[:3])
    for job in await jobs.take("w", most=100):
        await jobs.bury(job, "the receiver answered 500", tries=10)
    assert await jobs.counts() == JobCounts(due=0, waiting=0, pending=0, dead=3)
    letters = await jobs.dead(limit=10)
    assert sorted(letter.cid for letter in letters) == CIDS[:3]
    assert {(letter.why, letter.tries) for letter in letters} == {("the receiver answered 500", 10)}
    assert len(await jobs.dead(limit=2)) == 2

    assert await jobs.requeue([letters[0].id, "0.1-1"]) == 1
    assert cids(await jobs.take("w", most=4)) == [letters[0].cid]
    assert await jobs.requeue() == 2
    assert cids(await jobs.take("w", most=100)) == sorted(letter.cid for letter in letters[1:])
    assert await jobs.requeue() == 0


async def test_jobs_are_bounded_and_what_else_is_due_waits(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushpull.store.jobs.MOST_QUEUED", 1)
    await due(jobs, *CIDS)
    taken = await jobs.take("w", most=100)
    assert len(taken) == SHARDS
    assert (await jobs.counts()).due == len(CIDS) - SHARDS
    await jobs.finish(taken)
    assert len(await jobs.take("w", most=100)) == SHARDS


async def test_dead_letters_are_bounded_and_the_oldest_go(real_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushpull.store.jobs.MOST_DEAD", 100)
    jobs = real_store.jobs
    same_shard = [cid for n in range(2000) if shard_of(cid := Cid(f"d{n}")) == 0][:400]
    await due(jobs, *same_shard)
    for job in await jobs.take("w", most=1600):
        await jobs.bury(job, "no", tries=1)
    assert 100 <= (await jobs.counts()).dead < 400
    newest = (await jobs.dead(limit=1))[0]
    assert newest.cid == max(same_shard), "of those due together the last by name is taken last"


async def test_workers_that_are_no_more_are_forgotten(real_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushpull.store.jobs.LONG_GONE_MS", -1)
    jobs = real_store.jobs
    await due(jobs, CIDS[0])
    (job,) = await jobs.take("busy", most=1)
    await jobs.finish([job])
    assert await jobs.forget_workers() > 0
    await due(jobs, CIDS[0])
    await jobs.take("busy", most=1)
    idle_shards = await jobs.forget_workers()
    assert idle_shards == SHARDS - 1, "one that has a job is not forgotten"


async def test_how_long_somebody_is_owed_counts_from_when_its_time_came(store: Store, jobs: Jobs) -> None:
    assert await jobs.oldest_ms() is None
    await jobs.mark(CIDS[:6], delay_s=60)
    later_ms = await jobs.oldest_ms()
    await due(jobs, *CIDS[6:])
    due_ms = await jobs.oldest_ms()
    assert later_ms is not None
    assert due_ms is not None
    assert 59_000 < later_ms - due_ms < 61_000, "what is not due yet is owed in the future"

    taken = await jobs.take("w", most=100)
    assert cids(taken) == sorted(CIDS[6:])
    queued_ms = await jobs.oldest_ms()
    assert queued_ms is not None
    assert 0 <= queued_ms - due_ms < 5_000, "a job counts until it has ended"
    await jobs.finish(taken)
    assert await jobs.oldest_ms() == later_ms
