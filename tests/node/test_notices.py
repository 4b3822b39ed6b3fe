"""Notices: the first at once, then one an interval, and never on top of bytes that have not left. Interval 200 ms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pushpull.model import Mode
from pushpull.node import rounds
from pushpull.node.feed import Feed
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]


@pytest.fixture
def bench(make_bench: Make) -> Bench:
    """Of a conversation that is notified, without inline messages."""
    bench = make_bench(notify_interval_ms=200, inline_max_bytes=0)
    bench.log.meta[ROOM] = {"members": 1_000}
    return bench


@pytest.fixture
def inlining(make_bench: Make) -> Bench:
    bench = make_bench(notify_interval_ms=200, inline_max_bytes=512)
    bench.log.meta[ROOM] = {"members": 1_000}
    return bench


async def notified(bench: Bench, count: int = 1) -> Feed:
    """A feed with `count` devices at its head."""
    feed = await bench.open()
    for _ in range(count):
        assert bench.attach(feed).mode is Mode.NOTIFY
    return feed


def heads(bench: Bench, device: int = 0) -> list[int]:
    return [frame["head"] for frame in bench.said[device].heard("notice")]


async def test_the_first_message_after_a_quiet_spell_rings_at_once(bench: Bench) -> None:
    feed = await notified(bench, 2)

    bench.say(feed)
    await turns()

    first = bench.said[0].frames[0]
    assert bench.said[0].heard() == [{"type": "notice", "cid": "room", "head": 1, "count": 1}]
    assert bench.said[1].frames[0] is first


async def test_a_tail_that_notices_are_about_counts_as_used(bench: Bench) -> None:
    feed = await notified(bench)
    assert feed.used_at == 0.0

    bench.say(feed)
    await turns()

    assert feed.used_at == feed.noticing.last_at > 0.0


async def test_then_there_is_one_notice_an_interval_however_many_messages(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench)
    for _ in range(20):
        bench.say(feed)
        await clock.advance(0.05)

    assert heads(bench) == [1, 4, 8, 12, 16, 20]
    await clock.advance(10.0)
    assert len(heads(bench)) == 6


async def test_after_a_quiet_spell_it_rings_at_once_again(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench)
    bench.say(feed)
    await clock.advance(5.0)

    bench.say(feed)
    await turns()

    assert heads(bench) == [1, 2]


async def test_a_device_that_has_it_already_is_not_rung(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, 2)
    bench.say(feed)
    await turns()
    page = feed.tail.page(0, limit=10, max_bytes=10_000)
    assert page is not None
    bench.say(feed)
    bench.places[0].window.hand(2, feed.tail.head_id)

    await clock.advance(1.0)

    assert (heads(bench, 0), heads(bench, 1)) == ([1], [1, 2])


async def test_a_buffer_that_is_not_empty_is_passed_over_and_rung_when_it_is(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, 2)
    bench.said[0].buffered = 1
    bench.say(feed)
    await clock.advance(0.7)
    assert (heads(bench, 0), heads(bench, 1)) == ([], [1])

    bench.say(feed)
    await clock.advance(0.2)
    bench.said[0].buffered = 0
    await clock.advance(0.2)

    assert (heads(bench, 0), heads(bench, 1)) == ([2], [1, 2])
    assert not feed.noticing.running


async def test_a_small_message_rides_inline_only_to_those_exactly_at_its_after(inlining: Bench, clock: Clock) -> None:
    feed = await notified(inlining, 2)
    inlining.say(feed)
    await clock.advance(1.0)
    late = inlining.attach(feed, at=0)

    inlining.say(feed)
    await clock.advance(1.0)

    assert [said.ranges() for said in inlining.said] == [[(0, 1), (1, 2)], [(0, 1), (1, 2)], []]
    assert inlining.said[0].frames[1] is inlining.said[1].frames[1]
    assert (heads(inlining, 0), heads(inlining, 2)) == ([], [2])
    assert (inlining.places[0].window.sent, late.window.sent) == (2, 0)


async def test_what_rode_inline_has_no_deadline(inlining: Bench) -> None:
    feed = await notified(inlining)
    inlining.say(feed)
    await turns()

    assert (inlining.places[0].window.outstanding, len(inlining.hub.windows)) == (1, 0)


async def test_several_messages_ride_together_while_they_are_small(inlining: Bench, clock: Clock) -> None:
    feed = await notified(inlining)
    inlining.say(feed)
    await turns()
    inlining.say(feed, 2)
    await clock.advance(1.0)
    assert inlining.said[0].ranges() == [(0, 1), (1, 3)]

    inlining.say(feed, 1, body=b'"%b"' % (b"x" * 600))
    await clock.advance(1.0)

    assert (inlining.said[0].ranges(), heads(inlining)) == ([(0, 1), (1, 3)], [4])


async def test_a_mention_cuts_through_to_the_one_who_is_mentioned(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, 3)
    bench.say(feed)
    await turns()

    bench.say(feed, 1, mentions=("u1", "nobody-here"))
    assert [frame.get("mentioned") for frame in bench.said[1].heard("notice")] == [None, True]
    await clock.advance(1.0)

    assert [heads(bench, n) for n in range(3)] == [[1, 2]] * 3
    assert [frame.get("mentioned") for n in (0, 2) for frame in bench.said[n].heard("notice")] == [None] * 4


async def test_a_mention_of_everyone_is_said_to_everyone_in_one_frame(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, 2)

    bench.say(feed, 1, mentions=("*",))
    await turns()

    assert bench.said[0].frames[0] is bench.said[1].frames[0]
    assert bench.said[0].heard("notice")[0]["mentioned"] is True
    bench.say(feed)
    await clock.advance(1.0)
    assert "mentioned" not in bench.said[0].heard("notice")[1]


async def test_a_mention_of_everyone_does_not_wait_for_the_interval(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench)
    bench.say(feed)
    await turns()
    bench.say(feed)
    await turns()
    assert heads(bench) == [1]

    bench.say(feed, 1, mentions=("*",))
    await turns()

    assert heads(bench) == [1, 3]
    assert bench.said[0].heard("notice")[1]["mentioned"] is True


async def test_a_mention_of_one_who_is_pushed_makes_no_notice(make_bench: Make) -> None:
    bench = make_bench()
    feed = await bench.open()
    bench.attach(feed, uid="bob")
    bench.attach(feed, mode=Mode.NOTIFY)

    bench.say(feed, 1, mentions=("bob",))

    assert [frame["type"] for frame in bench.said[0].heard()] == ["messages"]


async def test_a_large_group_is_rung_in_slices_spread_over_the_interval(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, 4 * rounds.SLICE)
    bench.say(feed)
    rung = []
    for _ in range(5):
        await turns()
        rung.append(sum(1 for said in bench.said if said.frames) // rounds.SLICE)
        await clock.advance(0.04)

    assert rung == [1, 2, 3, 4, 4]


async def test_what_comes_during_a_round_reaches_its_first_slices_with_the_next(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, rounds.SLICE + 1)
    bench.say(feed)
    await turns()
    bench.say(feed)
    await clock.advance(0.1)

    assert (heads(bench), heads(bench, rounds.SLICE)) == ([1], [2])

    await clock.advance(0.4)

    assert (heads(bench), heads(bench, rounds.SLICE)) == ([1, 2], [2])


async def test_a_round_in_slices_ends_when_the_feed_is_held(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, 2 * rounds.SLICE)
    bench.say(feed)
    await turns()

    feed.resetting = True
    await clock.advance(1.0)

    assert sum(1 for said in bench.said if said.frames) == rounds.SLICE
    assert not feed.noticing.running


async def test_one_who_left_during_a_round_is_not_rung(bench: Bench, clock: Clock) -> None:
    feed = await notified(bench, 2 * rounds.SLICE)
    bench.say(feed)
    await turns()

    bench.peers.of(bench.places[-1].device.uid)[0].leave(ROOM, "left")
    await clock.advance(1.0)

    assert bench.said[-1].frames == []


async def test_a_device_that_attaches_behind_is_rung_at_once(bench: Bench) -> None:
    feed = await notified(bench)
    bench.say(feed, 3)
    place = bench.attach(feed, at=1)

    bench.hub.settle(feed, place)

    assert heads(bench, 1) == [3]
    assert place.window.sent == 1
