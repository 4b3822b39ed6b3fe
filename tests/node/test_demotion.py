"""A device that cannot keep up is told instead of pushed to, pulls at its own pace, and is pushed to again then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pushpull.delivery.place import Place
from pushpull.model import Mode
from pushpull.node.feed import Feed
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]
FULL = 1025


@pytest.fixture
def bench(make_bench: Make) -> Bench:
    return make_bench(limits={"buffer_bytes": 1024}, inline_max_bytes=0, max_ack_pending=10)


async def demoted(bench: Bench) -> tuple[Feed, Place]:
    """A device whose buffer was full when a message came; another, whose was not, stands beside it."""
    feed = await bench.open()
    slow, _ = bench.attach(feed), bench.attach(feed)
    bench.said[0].buffered = FULL
    bench.say(feed)
    await turns()
    return feed, slow


def pull(bench: Bench, feed: Feed, place: Place) -> None:
    """The device takes what it lacks, and acks it."""
    page = feed.tail.page(place.window.sent, limit=100, max_bytes=10_000)
    assert page is not None
    bench.hub.pulled(feed, place, page)
    bench.ack(place, page.upto)


def count(bench: Bench, name: str) -> float:
    return bench.metrics.registry.get_sample_value(f"pushpull_{name}_total") or 0.0


async def test_a_full_buffer_demotes_its_device_and_no_other(bench: Bench) -> None:
    feed, slow = await demoted(bench)

    assert (list(feed.noticed), list(feed.pushed)) == ([slow], [bench.places[1]])
    assert bench.said[0].frames == []
    assert bench.said[1].ranges() == [(0, 1)]
    assert count(bench, "demotions") == 1


async def test_it_is_told_once_its_bytes_have_left_and_not_before(bench: Bench, clock: Clock) -> None:
    feed, _ = await demoted(bench)
    bench.say(feed, 3)
    await clock.advance(2.0)
    assert bench.said[0].frames == []

    bench.said[0].buffered = 0
    await clock.advance(1.0)

    assert [frame["head"] for frame in bench.said[0].heard("notice")] == [4]


async def test_it_is_pushed_to_again_when_it_has_caught_up_and_its_buffer_has_drained(bench: Bench) -> None:
    feed, slow = await demoted(bench)
    bench.said[0].buffered = 256

    pull(bench, feed, slow)

    assert (slow.mode, count(bench, "promotions")) == (Mode.PUSH, 1)
    bench.said[0].buffered = 0
    bench.say(feed)
    assert bench.said[0].ranges() == [(1, 2)]


async def test_a_buffer_that_is_a_quarter_full_is_not_drained(bench: Bench) -> None:
    feed, slow = await demoted(bench)
    bench.said[0].buffered = 257

    pull(bench, feed, slow)

    assert slow.mode is Mode.NOTIFY


async def test_in_a_busy_conversation_a_window_behind_counts_as_caught_up(bench: Bench) -> None:
    """Else it would never stand at the head: something new has always come."""
    feed, slow = await demoted(bench)
    page = feed.tail.page(0, limit=100, max_bytes=10_000)
    assert page is not None
    bench.hub.pulled(feed, slow, page)
    bench.said[0].buffered = 0
    bench.say(feed, 10)

    bench.ack(slow, 1)

    assert slow.mode is Mode.PUSH
    assert bench.said[0].ranges() == [(1, 11)]


async def test_whoever_lacks_more_than_a_window_goes_on_pulling(bench: Bench) -> None:
    feed, slow = await demoted(bench)
    page = feed.tail.page(0, limit=100, max_bytes=10_000)
    assert page is not None
    bench.hub.pulled(feed, slow, page)
    bench.said[0].buffered = 0
    bench.say(feed, 11)

    bench.ack(slow, 1)

    assert slow.mode is Mode.NOTIFY


async def test_a_backlog_waits_for_its_buffer_without_a_demotion(bench: Bench) -> None:
    """It comes batch by batch, each after the ack of the last: the device sets the pace already."""
    bench.log.put(3)
    feed = await bench.open()
    slow = bench.attach(feed, at=0)
    bench.said[0].buffered = FULL
    bench.hub.settle(feed, slow)
    await turns()
    assert (bench.said[0].frames, slow.mode) == ([], Mode.PUSH)

    bench.said[0].buffered = 0
    bench.hub.settle_full()
    await turns()

    assert bench.said[0].ranges() == [(0, 3)]
