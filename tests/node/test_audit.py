"""The slow look at whether feeds still stand where their logs do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Cid
from pushpull.node import audit as audit_module
from pushpull.node.audit import Audit, differs
from pushpull.node.feed import Feed
from tests.delivery.words import ROOM, log_id
from tests.node.fakes import Bench, head, turns

Make = Callable[..., Bench]


def audit_of(bench: Bench) -> Audit:
    return Audit(bench.feeds, bench.log, bench.metrics, bench.settings, stale=bench.reader.mark_stale)


async def rooms(bench: Bench, count: int) -> list[Feed]:
    cids = [Cid(f"room{n}") for n in range(count)]
    for cid in cids:
        bench.log.put(1, cid)
    return list((await bench.feeds.open(cids)).values())


@pytest.fixture
def bench(make_bench: Make) -> Bench:
    return make_bench(audit_reads_per_s=1e9)


async def test_a_feed_whose_bell_was_lost_is_found_and_its_devices_get_what_they_lack(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed)
    bench.log.put(2)

    assert await audit_of(bench).round() == 1
    await turns()

    assert bench.said[0].ranges() == [(0, 2)]
    assert await audit_of(bench).round() == 0
    assert bench.metrics.registry.get_sample_value("pushpull_lost_bells_total") == 1


async def test_a_change_of_members_that_was_missed_is_found_too(bench: Bench) -> None:
    feed = await bench.open()
    bench.log.meta[ROOM] = {"mver": 2}

    assert await audit_of(bench).round() == 1
    await turns()

    assert feed.head.mver == 2


async def test_feeds_are_looked_at_in_chunks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_module, "CHUNK", 2)
    feeds = await rooms(bench, 5)
    asked: list[int] = []
    heads = bench.log.heads

    async def counted(cids: list[Cid]) -> object:
        asked.append(len(cids))
        return await heads(cids)

    monkeypatch.setattr(bench.log, "heads", counted)
    bench.log.put(1, feeds[4].cid)

    assert await audit_of(bench).round() == 1
    assert asked == [2, 2, 1]


async def test_a_round_ends_where_redis_is_away_and_the_next_goes_on(bench: Bench) -> None:
    await bench.open()
    bench.log.put(1)
    bench.log.problem = StoreUnavailable("redis is away")
    with pytest.raises(StoreUnavailable):
        await audit_of(bench).round()

    bench.log.problem = None
    assert await audit_of(bench).round() == 1


@pytest.mark.parametrize(
    ("seen", "changes", "behind"),
    [
        (1, {}, False),
        (2, {}, True),
        (1, {"last_id": log_id(1, digest=1)}, True),
        (1, {"epoch": "2"}, True),
        (1, {"mver": 2}, True),
        (1, {"count": 9, "rev": 9}, False),
    ],
)
async def test_what_makes_a_feed_differ_from_its_log(
    bench: Bench, seen: int, changes: dict[str, object], behind: bool
) -> None:
    (feed,) = await rooms(bench, 1)

    assert differs(feed, head(seen, **changes)) is behind
    assert differs(feed, None)


async def test_tails_over_the_nodes_bytes_shrink_the_least_recently_used_first(make_bench: Make) -> None:
    bench = make_bench(tails_bytes=1_000, audit_reads_per_s=1e9)
    feeds = await rooms(bench, 3)
    for used_at, feed in enumerate(feeds):
        bench.say(feed, 5)
        feed.used_at = float(used_at)
    before = [feed.tail.bytes for feed in feeds]
    assert sum(before) > 1_000

    audit_of(bench).shrink_tails()

    after = [feed.tail.bytes for feed in feeds]
    assert after[0] <= before[0] // 2
    assert after[2] == before[2]
    assert bench.metrics.registry.get_sample_value("pushpull_tails_bytes") == sum(after)


async def test_tails_within_the_bound_stay(make_bench: Make) -> None:
    bench = make_bench(tails_bytes=10**6)
    (feed,) = await rooms(bench, 1)
    bench.say(feed, 5)
    before = feed.tail.bytes

    audit_of(bench).shrink_tails()

    assert feed.tail.bytes == before
