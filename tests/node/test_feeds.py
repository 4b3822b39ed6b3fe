"""Opening goes by the book: subscribe, await the confirmation, then read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Cid, Head
from pushpull.node import feeds as feeds_module
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, turns

OTHER = Cid("other")
Make = Callable[..., Bench]


async def test_the_head_is_read_only_when_the_subscription_is_confirmed(bench: Bench) -> None:
    bench.board.silent = True
    opening = asyncio.create_task(bench.feeds.open([ROOM]))
    await turns()
    assert bench.board.subscribed == [ROOM]
    bench.log.put(3)

    bench.feeds.confirmed(ROOM)
    feed = (await opening)[ROOM]

    assert feed.tail.head == 3


async def test_many_are_opened_together(bench: Bench) -> None:
    bench.log.put(2, OTHER)

    opened = await bench.feeds.open([ROOM, OTHER, ROOM])

    assert (list(opened), bench.board.subscribed) == ([ROOM, OTHER], [ROOM, OTHER])
    assert [feed.tail.head for feed in opened.values()] == [0, 2]


async def test_two_who_ask_at_once_share_one_opening(bench: Bench) -> None:
    one, two = await asyncio.gather(bench.feeds.open([ROOM]), bench.feeds.open([ROOM]))

    assert one[ROOM] is two[ROOM]
    assert bench.board.subscribed == [ROOM]
    assert (await bench.feeds.open([ROOM]))[ROOM] is one[ROOM]


async def test_those_who_ask_in_one_turn_for_different_feeds_share_one_read_of_heads(bench: Bench) -> None:
    bench.log.put(2, OTHER)
    read: list[list[Cid]] = []
    heads = bench.log.heads

    async def counted(cids: Sequence[Cid]) -> list[Head | None]:
        read.append(list(cids))
        return await heads(cids)

    bench.log.heads = counted  # type: ignore[method-assign]
    one, two = await asyncio.gather(bench.feeds.open([ROOM]), bench.feeds.open([OTHER, ROOM]))

    assert (list(one), list(two)) == ([ROOM], [OTHER, ROOM])
    assert read == [[ROOM, OTHER]]


async def test_a_feed_whose_subscription_was_made_anew_while_it_was_opened_is_read_once_it_stands(
    bench: Bench,
) -> None:
    bench.log.hold = asyncio.Event()
    opening = asyncio.create_task(bench.feeds.open([ROOM]))
    await turns()
    bench.feeds.confirmed(ROOM)
    bench.log.hold.set()
    await opening
    await turns()

    assert bench.log.batches == [1]


async def test_one_who_goes_away_does_not_take_the_opening_from_the_others(bench: Bench) -> None:
    bench.board.silent = True
    first = asyncio.create_task(bench.feeds.open([ROOM]))
    await turns()
    second = asyncio.create_task(bench.feeds.open([ROOM]))
    await turns()

    first.cancel()
    await turns()
    bench.feeds.confirmed(ROOM)

    assert ROOM in await second


async def test_a_conversation_that_does_not_exist_is_left_out_and_not_listened_to(bench: Bench) -> None:
    nowhere = Cid("nowhere")

    opened = await bench.feeds.open([ROOM, nowhere])
    await turns()

    assert list(opened) == [ROOM]
    assert bench.board.unsubscribed == [nowhere]
    assert bench.feeds.get(nowhere) is None


async def test_a_bell_in_between_makes_the_feed_read_its_log_once_it_stands(bench: Bench) -> None:
    bench.log.hold = asyncio.Event()
    opening = asyncio.create_task(bench.feeds.open([ROOM]))
    await turns()

    bench.feeds.missed(ROOM)
    bench.log.hold.set()
    await opening
    await turns()

    assert bench.log.batches == [1]


async def test_no_bell_in_between_means_no_read(bench: Bench) -> None:
    await bench.open()
    bench.feeds.missed(OTHER)
    await turns()

    assert bench.log.batches == []


async def test_a_subscription_made_anew_makes_an_open_feed_read_its_log(bench: Bench) -> None:
    feed = await bench.open()
    bench.log.put(2)

    bench.feeds.confirmed(ROOM)
    await turns()

    assert feed.tail.head == 2


async def test_while_redis_is_away_all_who_wait_are_told_and_nothing_is_kept(bench: Bench) -> None:
    bench.log.problem = StoreUnavailable("redis is away")
    both = await asyncio.gather(bench.feeds.open([ROOM]), bench.feeds.open([ROOM]), return_exceptions=True)

    assert [type(problem) for problem in both] == [StoreUnavailable] * 2
    assert bench.board.unsubscribed == [ROOM]
    bench.log.problem = None
    assert ROOM in await bench.feeds.open([ROOM])


async def test_a_subscription_that_is_not_confirmed_in_time_is_store_unavailable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds_module, "CONFIRM_S", 0.001)
    bench.board.silent = True

    with pytest.raises(StoreUnavailable, match=r"no subscription confirmed within 0\.001 s"):
        await bench.feeds.open([ROOM])
    assert bench.board.unsubscribed == [ROOM]
    bench.feeds.confirmed(ROOM)  # comes after all: no harm


async def test_a_feed_nobody_needs_is_closed_after_a_while(bench: Bench) -> None:
    feed = await bench.open()
    place = bench.attach(feed)

    await bench.feeds.close_idle(100.0)
    feed.discard(place)
    await bench.feeds.close_idle(110.0)
    await bench.feeds.close_idle(124.9)
    assert bench.feeds.get(ROOM) is feed
    await bench.feeds.close_idle(125.0)

    assert (bench.feeds.get(ROOM), bench.board.unsubscribed) == (None, [ROOM])


async def test_a_feed_that_is_asked_for_again_is_not_closed_under_the_one_who_asked(bench: Bench) -> None:
    feed = await bench.open()
    await bench.feeds.close_idle(100.0)

    await bench.feeds.open([ROOM])
    await bench.feeds.close_idle(120.0)

    assert bench.feeds.get(ROOM) is feed


async def test_over_the_bound_the_longest_idle_are_closed_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds_module, "IDLE_MAX", 1)
    cids = [ROOM, OTHER, Cid("third")]
    for cid in cids[1:]:
        bench.log.put(1, cid)
    for at, cid in enumerate(cids):
        await bench.feeds.open([cid])
        await bench.feeds.close_idle(100.0 + at)

    assert [feed.cid for feed in bench.feeds] == [Cid("third")]


async def test_to_close_a_feed_that_was_closed_before_does_not_touch_its_successor(bench: Bench) -> None:
    old = await bench.open()
    await bench.feeds.close([old])
    new = await bench.open()

    await bench.feeds.close([old])

    assert bench.feeds.get(ROOM) is new
    assert bench.board.unsubscribed == [ROOM]


async def test_a_feed_confirmed_again_while_its_head_was_read_is_read_once_more(bench: Bench) -> None:
    """The connection was cut in between: what rang before the second confirmation may be lost."""
    bench.log.hold = asyncio.Event()
    opening = asyncio.create_task(bench.feeds.open([ROOM]))
    await turns()

    bench.feeds.confirmed(ROOM)
    bench.log.hold.set()
    await opening
    await turns()

    assert bench.log.batches == [1]
