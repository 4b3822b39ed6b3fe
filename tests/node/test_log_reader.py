"""Reads of the log for feeds that are behind, and for those who ask for what the tail has no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Cid
from pushpull.node import log_reader
from pushpull.node.feed import Change, Feed
from pushpull.store.values import LogRead
from tests.delivery.words import ROOM, entry, log_id
from tests.node.fakes import Bench, bell, turns

OTHER = Cid("other")
Make = Callable[..., Bench]


async def test_a_stale_feed_reads_on_from_its_own_last_id(bench: Bench) -> None:
    bench.log.put(3)
    feed = await bench.open()
    bench.log.put(2)

    bench.reader.mark_stale(feed)
    await turns()

    assert (feed.tail.head, feed.tail.base) == (5, 4)


async def test_many_stale_feeds_are_one_pipeline_and_one_is_asked_for_once(bench: Bench) -> None:
    bench.log.put(1, OTHER)
    opened = await bench.feeds.open([ROOM, OTHER])
    for feed in [*opened.values(), *opened.values()]:
        bench.reader.mark_stale(feed)
    await turns()

    assert bench.log.batches == [2]


async def test_a_feed_that_is_stale_again_while_it_is_read_is_read_again(bench: Bench) -> None:
    feed = await bench.open()
    bench.log.hold = asyncio.Event()
    bench.reader.mark_stale(feed)
    await turns()
    bench.reader.mark_stale(feed)
    bench.log.hold.set()
    await turns()

    assert bench.log.batches == [1, 1]


async def test_a_long_log_is_read_in_parts_to_its_end(bench: Bench) -> None:
    feed = await bench.open()
    bench.log.put(1_200)

    bench.reader.mark_stale(feed)
    await turns(40)

    assert (feed.tail.head, len(bench.log.batches)) == (1_200, 3)


async def test_while_redis_is_away_feeds_stay_stale_and_are_tried_again(bench: Bench) -> None:
    feed = await bench.open()
    bench.log.put(2)
    bench.log.problem = StoreUnavailable("redis is away")
    bench.reader.mark_stale(feed)
    await turns()
    assert (feed.tail.head, len(bench.log.batches) > 1) == (0, True)

    bench.log.problem = None
    await turns()

    assert feed.tail.head == 2


async def test_a_feed_whose_conversation_is_gone_is_told_so(bench: Bench) -> None:
    feed = await bench.open()
    place = bench.attach(feed)
    del bench.log.entries[ROOM]

    bench.reader.mark_stale(feed)
    await turns()

    assert (feed.deleted, place.attached, bench.feeds.get(ROOM)) == (True, False, None)


async def test_a_read_that_does_not_fit_any_more_is_made_anew(bench: Bench) -> None:
    """It was trimmed past the anchor, and a bell moved the tail meanwhile."""
    bench.log.put(5)
    feed = await bench.open()
    bench.log.hold = asyncio.Event()
    bench.reader.mark_stale(feed)
    await turns()
    bench.log.put(5)
    bench.log.meta[ROOM] = {"floor": 9}
    feed.take_bell(bell(entry(6), prev=log_id(5)))
    bench.log.hold.set()
    await turns()

    assert (len(bench.log.batches), feed.tail.head, feed.head.floor) == (2, 10, 9)


async def test_one_feed_in_trouble_does_not_silence_the_others(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench.log.put(1, OTHER)
    opened = await bench.feeds.open([ROOM, OTHER])

    def broken(read: LogRead) -> Change:
        raise ZeroDivisionError

    monkeypatch.setattr(opened[ROOM], "take_read", broken)
    bench.log.put(1, OTHER)
    for feed in opened.values():
        bench.reader.mark_stale(feed)
    await turns()

    assert opened[OTHER].tail.head == 2
    assert "a read could not be taken" in caplog.text


# ---------------------------------------------------------------------------------------------------- pages


async def cold(bench: Bench, count: int = 9) -> Feed:
    """A feed whose tail is empty, over a log of `count`."""
    bench.log.put(count)
    return await bench.open()


async def test_a_page_of_the_tail_needs_no_read(bench: Bench) -> None:
    feed = await bench.open()
    bench.say(feed, 3)

    page = await bench.reader.page(feed, 0, limit=2, max_bytes=10_000)

    assert (page.upto, bench.log.reads) == (2, [])


async def test_a_page_below_the_tail_is_one_read_and_one_encoding_for_all_who_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_reader, "KEPT_S", 0)
    feed = await cold(bench)

    one, two = await asyncio.gather(*(bench.reader.page(feed, 2, limit=3, max_bytes=10_000) for _ in range(2)))

    assert (one.after, one.upto, one.upto_id) == (2, 5, log_id(5))
    assert one is two
    assert bench.log.reads == [(ROOM, 2)]
    await turns()
    await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)
    assert len(bench.log.reads) == 2


async def test_one_who_asks_right_after_the_read_gets_the_same_page(bench: Bench) -> None:
    feed = await cold(bench)
    one = await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)
    bench.say(feed, 1)

    two = await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)

    assert one is two
    assert bench.log.reads == [(ROOM, 2)]


@pytest.mark.parametrize("kind", ["edit", "redact"])
@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_page_read_before_an_edit_or_a_redaction_was_heard_of_is_read_again(
    bench: Bench, kind: str, meanwhile: bool
) -> None:
    feed = await cold(bench)
    first = asyncio.create_task(bench.reader.page(feed, 2, limit=3, max_bytes=10_000))
    await turns(1 if meanwhile else 20)
    bench.say(feed, 1, kind=kind, ref=4, quiet=True)
    await first

    await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)

    assert bench.log.reads == [(ROOM, 2), (ROOM, 2)]


async def test_a_page_read_before_the_floor_rose_is_read_again(bench: Bench) -> None:
    feed = await cold(bench)
    await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)
    feed.raise_floor(5)
    bench.log.meta[ROOM] = {"floor": 5}

    page = await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)

    assert (page.upto, len(page.items)) == (7, 3)


async def test_a_page_read_before_the_log_was_another_is_read_again(bench: Bench) -> None:
    feed = await cold(bench)
    await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)
    feed.tail.stand_at(log_id(6))

    await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)

    assert len(bench.log.reads) == 2


async def test_the_end_of_a_log_that_the_feed_has_not_heard_of_is_read_each_time(bench: Bench) -> None:
    feed = await cold(bench, 3)
    bench.log.put(1)
    assert (await bench.reader.page(feed, 2, limit=9, max_bytes=10_000)).upto == 4
    bench.log.put(1)

    assert (await bench.reader.page(feed, 2, limit=9, max_bytes=10_000)).upto == 5


async def test_of_many_cold_pages_the_newest_are_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_reader, "KEPT_MAX", 2)
    feed = await cold(bench)
    for after in (1, 2, 3, 3, 2, 1):
        await bench.reader.page(feed, after, limit=3, max_bytes=10_000)

    assert [after for _, after in bench.log.reads] == [1, 2, 3, 1]


async def test_other_ranges_are_reads_of_their_own(bench: Bench) -> None:
    feed = await cold(bench)

    pages = await asyncio.gather(
        *(bench.reader.page(feed, after, limit=limit, max_bytes=10_000) for after, limit in ((2, 3), (2, 4), (3, 3)))
    )

    assert [page.upto for page in pages] == [5, 6, 6]
    assert len(bench.log.reads) == 3


async def test_one_who_goes_away_does_not_take_the_read_from_the_others(bench: Bench) -> None:
    feed = await cold(bench)
    first, second = (asyncio.create_task(bench.reader.page(feed, 2, limit=3, max_bytes=10_000)) for _ in range(2))
    await turns(1)
    first.cancel()

    assert (await second).upto == 5


async def test_a_failed_read_is_told_to_all_who_wait_and_the_next_tries_again(bench: Bench) -> None:
    feed = await cold(bench)
    bench.log.problem = StoreUnavailable("redis is away")
    both = await asyncio.gather(
        *(bench.reader.page(feed, 2, limit=3, max_bytes=10_000) for _ in range(2)), return_exceptions=True
    )
    assert [type(problem) for problem in both] == [StoreUnavailable] * 2

    bench.log.problem = None
    assert (await bench.reader.page(feed, 2, limit=3, max_bytes=10_000)).upto == 5


async def test_a_page_above_the_head_the_node_has_heard_of_is_read_too(bench: Bench) -> None:
    feed = await cold(bench, 3)
    bench.log.put(4)

    page = await bench.reader.page(feed, 5, limit=10, max_bytes=10_000)

    assert (page.after, page.upto) == (5, 7)


async def test_a_page_past_a_log_that_lost_its_tail_is_refused_and_the_feed_looks_again(bench: Bench) -> None:
    feed = await cold(bench, 9)
    del bench.log.entries[ROOM][4:]
    bench.log.common = log_id(3)

    with pytest.raises(StoreUnavailable, match="the log ends at 4, before 6"):
        await bench.reader.page(feed, 6, limit=10, max_bytes=10_000)
    await turns()

    assert bench.log.epochs == ["1"]


async def test_a_read_makes_the_floor_known(bench: Bench) -> None:
    feed = await cold(bench)
    bench.log.meta[ROOM] = {"floor": 6}

    page = await bench.reader.page(feed, 2, limit=10, max_bytes=10_000)

    assert (len(page.items), feed.head.floor) == (4, 6)
