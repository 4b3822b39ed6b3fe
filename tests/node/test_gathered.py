"""Gathered pushes: one frame a window for all who stand at the same place. The window is 500 ms."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pushpull.model import ConversationSettings, Mode
from pushpull.node import rounds
from pushpull.node.feed import Feed
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]

GATHERS = ConversationSettings(mode="push", push_window_ms=500)


@pytest.fixture
def bench(make_bench: Make) -> Bench:
    return gathering(make_bench())


def gathering(bench: Bench) -> Bench:
    bench.log.meta[ROOM] = {"members": 10_000, "settings": GATHERS}
    return bench


async def pushed(bench: Bench, count: int = 1) -> Feed:
    """A feed with `count` devices at its head."""
    feed = await bench.open()
    for _ in range(count):
        assert bench.attach(feed).mode is Mode.PUSH
    return feed


async def test_the_first_message_goes_at_once_and_the_next_together_after_the_window(
    bench: Bench, clock: Clock
) -> None:
    feed = await pushed(bench, 2)
    bench.say(feed)
    await turns()
    assert bench.said[0].ranges() == [(0, 1)]

    for _ in range(5):
        bench.say(feed)
        await clock.advance(0.09)
    assert bench.said[0].ranges() == [(0, 1)]
    await clock.advance(0.06)

    assert bench.said[0].ranges() == [(0, 1), (1, 6)]
    assert bench.said[0].frames[1] is bench.said[1].frames[1]


async def test_after_a_quiet_spell_a_message_does_not_wait(bench: Bench, clock: Clock) -> None:
    feed = await pushed(bench)
    bench.say(feed)
    await clock.advance(3.0)
    assert not feed.gathering.running

    bench.say(feed)
    await turns()

    assert bench.said[0].ranges() == [(0, 1), (1, 2)]


async def test_a_gathered_push_is_acked_as_any_other(bench: Bench, clock: Clock) -> None:
    feed = await pushed(bench)
    bench.say(feed)
    await turns()

    assert list(bench.hub.windows) == bench.places
    bench.ack(bench.places[0], 1)
    assert list(bench.hub.windows) == []


async def test_a_large_group_is_served_slice_by_slice_each_up_to_its_own_moment(bench: Bench, clock: Clock) -> None:
    feed = await pushed(bench, 2 * rounds.SLICE)
    bench.say(feed)
    await turns()
    bench.say(feed)
    last = 2 * rounds.SLICE - 1
    assert (bench.said[0].ranges(), bench.said[last].ranges()) == ([(0, 1)], [])

    await clock.advance(0.2)
    assert (bench.said[0].ranges(), bench.said[last].ranges()) == ([(0, 1)], [(0, 2)])
    await clock.advance(0.5)

    assert (bench.said[0].ranges(), bench.said[last].ranges()) == ([(0, 1), (1, 2)], [(0, 2)])


async def test_one_who_has_no_room_lags_and_goes_on_by_its_acks(make_bench: Make, clock: Clock) -> None:
    bench = gathering(make_bench(max_ack_pending=4))
    feed = await pushed(bench)
    bench.say(feed)
    await turns()
    bench.say(feed, 9)
    await clock.advance(0.5)
    place = bench.places[0]
    assert (bench.said[0].ranges(), place.lagging) == ([(0, 1)], True)

    for seq in (1, 5, 9):
        bench.ack(place, seq)

    assert bench.said[0].ranges() == [(0, 1), (1, 5), (5, 9), (9, 10)]
    assert not place.lagging


async def test_more_than_a_frame_holds_follows_after_the_ack(make_bench: Make, clock: Clock) -> None:
    bench = gathering(make_bench(max_ack_pending=4))
    feed = await pushed(bench)
    bench.say(feed, 6)
    await turns()
    assert bench.said[0].ranges() == [(0, 4)]

    bench.ack(bench.places[0], 4)

    assert bench.said[0].ranges() == [(0, 4), (4, 6)]


async def test_one_whose_buffer_is_full_is_demoted_and_told_when_it_has_drained(make_bench: Make, clock: Clock) -> None:
    bench = gathering(make_bench(limits={"buffer_bytes": 1024}, inline_max_bytes=0))
    feed = await pushed(bench, 2)
    bench.said[0].buffered = 1025
    bench.say(feed)
    await turns()
    assert (bench.said[0].frames, bench.said[1].ranges()) == ([], [(0, 1)])
    assert bench.places[0].mode is Mode.NOTIFY

    bench.said[0].buffered = 0
    await clock.advance(1.0)

    assert bench.said[0].heard("notice")[0]["head"] == 1


async def test_those_who_stand_elsewhere_get_what_they_lack(bench: Bench, clock: Clock) -> None:
    bench.log.put(3)
    feed = await pushed(bench, 2)
    bench.say(feed, 2)
    await turns()
    bench.attach(feed, at=4)  # as one who comes back between two rounds, settled by its own listing
    bench.say(feed)
    await clock.advance(0.5)

    assert [said.ranges() for said in bench.said] == [[(3, 5), (5, 6)], [(3, 5), (5, 6)], [(4, 6)]]


async def test_nothing_goes_out_while_the_feed_is_doubted_and_all_of_it_after(bench: Bench, clock: Clock) -> None:
    feed = await pushed(bench)
    bench.say(feed)
    await turns()
    bench.say(feed)
    feed.doubted = True
    await clock.advance(1.0)
    assert bench.said[0].ranges() == [(0, 1)]

    feed.doubted = False
    bench.hub.release(feed)
    bench.ack(bench.places[0], 1)

    assert bench.said[0].ranges() == [(0, 1), (1, 2)]


async def test_when_the_window_is_taken_back_nothing_is_left_behind(bench: Bench, clock: Clock) -> None:
    feed = await pushed(bench)
    bench.say(feed)
    await turns()
    bench.say(feed)
    bench.log.meta[ROOM] = {"members": 10_000, "settings": ConversationSettings(mode="push"), "mver": 2}
    bench.reader.mark_stale(feed)
    await turns()
    bench.ack(bench.places[0], 1)

    bench.say(feed)
    await clock.advance(0.5)
    bench.hub.settle_full()
    bench.ack(bench.places[0], 2)

    assert bench.places[0].window.sent == 3
    assert bench.said[0].ranges()[-1][1] == 3


async def test_the_rounds_of_large_groups_widen_with_the_load_and_those_of_small_ones_do_not(
    bench: Bench, clock: Clock
) -> None:
    large, small = rounds.SLICE + 1, rounds.SLICE
    bench.hub.pace.goes_to(large)
    bench.hub.pace.adapt(1.0)

    assert bench.hub.pace.interval_s(0.5, large) == pytest.approx(1.0)
    assert bench.hub.pace.interval_s(0.5, small) == 0.5
