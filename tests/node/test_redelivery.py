"""What is not acked in time is sent again, later and later. ack_wait 5 s, backoff 2, max_deliver 3."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pushpull.delivery.place import Place
from pushpull.delivery.window import Redelivery
from pushpull.errors import StoreUnavailable
from pushpull.model import Mode
from pushpull.node.feed import Feed
from tests.delivery.words import ROOM, redaction
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]


@pytest.fixture
def bench(make_bench: Make) -> Bench:
    return make_bench(ack_wait_ms=5_000, backoff=2.0, max_deliver=3, max_ack_pending=10)


async def outstanding(bench: Bench, count: int = 3) -> tuple[Feed, Place]:
    """A device that was handed (0, count] at 1,000 s."""
    feed = await bench.open()
    place = bench.attach(feed)
    new = bench.log.put(count)
    bench.reader.mark_stale(feed)
    await turns()
    assert place.window.sent == new[-1].seq
    return feed, place


async def due(bench: Bench) -> None:
    bench.hub.redeliveries.redeliver_due()
    await turns()


async def test_the_range_that_is_not_acked_is_sent_again_at_its_deadline(bench: Bench, clock: Clock) -> None:
    _, place = await outstanding(bench)
    bench.ack(place, 1, now=clock.now)

    clock.now += 4.9
    await due(bench)
    assert bench.said[0].ranges() == [(0, 3)]
    clock.now += 0.1
    await due(bench)

    again = bench.said[0].heard("messages")[1]
    assert (again["after"], again["upto"], again["redelivery"]) == (1, 3, 1)
    assert [item["seq"] for item in again["items"]] == [2, 3]


async def test_after_max_deliver_the_connection_is_closed_and_the_place_stands_where_it_stood(
    bench: Bench, clock: Clock
) -> None:
    _, place = await outstanding(bench)

    for seconds in (5.0, 10.0, 19.9):
        clock.now += seconds
        await due(bench)
    assert [frame.get("redelivery") for frame in bench.said[0].heard("messages")] == [None, 1, 2]
    assert bench.said[0].closed is None
    clock.now += 0.1
    await due(bench)

    assert bench.said[0].closed == (4408, "no ack after 3 deliveries")
    assert (place.window.acked, place.window.sent, len(bench.hub.windows)) == (0, 3, 0)


async def test_an_ack_ends_it(bench: Bench, clock: Clock) -> None:
    _, place = await outstanding(bench)
    clock.now += 5.0
    await due(bench)

    bench.ack(place, 3, now=clock.now)
    clock.now += 1_000.0
    await due(bench)

    assert len(bench.said[0].frames) == 2
    assert (len(bench.hub.windows), bench.said[0].closed) == (0, None)


async def test_each_redelivery_is_told_and_so_is_the_ack_after_it(bench: Bench, clock: Clock) -> None:
    _, place = await outstanding(bench)
    noted: list[object] = []
    bench.hub.redeliveries.note = lambda place, due: noted.append((place, due))
    bench.hub.settled_window = noted.append
    clock.now += 5.0
    await due(bench)
    place.noted = True

    bench.ack(place, 1, now=clock.now)

    assert noted == [(place, Redelivery(0, 3, 1)), place]


async def test_many_are_due_together_and_each_gets_its_own_range(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    places = [bench.attach(feed) for _ in range(3)]
    bench.say(feed, 3)
    bench.ack(places[1], 1, now=clock.now)
    bench.ack(places[2], 3, now=clock.now)

    clock.now += 5.0
    await due(bench)

    again = [[(f["after"], f["upto"]) for f in said.heard("messages") if "redelivery" in f] for said in bench.said]
    assert again == [[(0, 3)], [(1, 3)], []]


async def test_a_redelivery_below_the_tail_comes_from_the_log(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(tail_messages=2)
    _, place = await outstanding(bench, 5)

    clock.now += 5.0
    await due(bench)

    again = bench.said[0].heard("messages")[-1]
    assert ([item["seq"] for item in again["items"]], again["redelivery"]) == ([1, 2, 3, 4, 5], 1)
    assert bench.log.reads[-1] == (ROOM, 0)
    assert place.window.delivery_count == 2


async def test_a_range_over_the_page_size_is_sent_again_in_several_frames(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(page_bytes=1)
    feed = await bench.open()
    bench.attach(feed)
    bench.say(feed, 3)

    clock.now += 5.0
    await due(bench)

    assert bench.said[0].ranges()[-3:] == [(0, 1), (1, 2), (2, 3)]


async def test_a_member_who_left_while_the_log_was_read_gets_nothing_more(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(tail_messages=2)
    await outstanding(bench, 5)
    bench.log.hold = asyncio.Event()
    clock.now += 5.0
    await due(bench)
    peer = bench.peers.of(bench.places[0].device.uid)[0]
    before = len(bench.said[0].frames)

    peer.leave(ROOM, "left")
    bench.log.hold.set()
    await turns()

    assert len(bench.said[0].frames) == before


async def test_a_redelivery_of_a_held_feed_waits(bench: Bench, clock: Clock) -> None:
    feed, _ = await outstanding(bench)
    feed.resetting = True

    clock.now += 5.0
    await due(bench)

    assert len(bench.said[0].frames) == 1


async def test_a_redelivery_that_reaches_further_because_of_a_hole_may_be_acked_to_its_end(
    bench: Bench, clock: Clock
) -> None:
    """(0, 10] was sent; one in it was redacted since, so ten items reach to 11."""
    feed = await bench.open()
    place = bench.attach(feed)
    bench.say(feed, 10)
    gone = redaction(11, 4)
    bench.log.entries[ROOM].append(gone)
    bench.log.entries[ROOM] = [each for each in bench.log.entries[ROOM] if each.seq != 4]
    bench.ring([gone], feed)
    assert place.window.sent == 10

    clock.now += 5.0
    await due(bench)

    assert bench.said[0].ranges()[-1] == (0, 11)
    assert place.window.sent == 11
    bench.ack(place, 11, now=clock.now)
    assert (place.window.acked, place.lagging) == (11, False)


async def test_of_a_range_that_was_trimmed_in_part_the_rest_is_sent_again(bench: Bench, clock: Clock) -> None:
    """No reset: the device may well have all of it, and would go back."""
    feed, place = await outstanding(bench, 9)
    bench.log.meta[ROOM] = {"floor": 6}
    bench.reader.mark_stale(feed)
    await turns()

    clock.now += 5.0
    await due(bench)

    assert (bench.said[0].heard("reset"), bench.said[0].ranges()) == ([], [(0, 9), (5, 9)])
    bench.ack(place, 9, now=clock.now)
    assert place.window.acked == 9


async def test_of_a_range_that_was_trimmed_just_so_far_the_end_is_told_again(bench: Bench, clock: Clock) -> None:
    feed, _ = await outstanding(bench, 9)
    bench.log.meta[ROOM] = {"floor": 10}
    bench.reader.mark_stale(feed)
    await turns()

    clock.now += 5.0
    await due(bench)

    assert (bench.said[0].heard("reset"), bench.said[0].ranges()) == ([], [(0, 9), (9, 9)])


async def test_a_range_that_was_trimmed_before_its_redelivery_is_told_as_trimmed(bench: Bench, clock: Clock) -> None:
    feed, place = await outstanding(bench, 9)
    bench.log.put(5)
    bench.log.meta[ROOM] = {"floor": 12}
    feed.raise_floor(12)

    clock.now += 5.0
    await due(bench)

    assert [frame["pos"] for frame in bench.said[0].heard("reset")] == ["11-0"]
    assert place.window.acked == 11


async def test_bytes_that_have_not_left_yet_are_not_sent_again(make_bench: Make, clock: Clock) -> None:
    """A slow device is not a dead one: its redelivery would only lengthen the queue."""
    bench = make_bench(max_deliver=2, limits={"buffer_bytes": 1024})
    await outstanding(bench)
    bench.said[0].buffered = 2000
    for _ in range(10):
        clock.now += 100.0
        await due(bench)
    assert (len(bench.said[0].frames), bench.said[0].closed) == (1, None)

    bench.said[0].buffered = 0
    clock.now += 5.0
    await due(bench)

    assert bench.said[0].heard("messages")[-1]["redelivery"] == 1


async def test_nothing_is_sent_again_while_a_single_byte_waits(bench: Bench, clock: Clock) -> None:
    """What is due may be that byte, or what follows it: more of the same helps nobody."""
    await outstanding(bench)
    bench.said[0].buffered = 1
    clock.now += 5.0
    await due(bench)

    assert len(bench.said[0].frames) == 1


async def test_those_to_whom_the_same_is_due_are_sent_the_same_bytes(bench: Bench, clock: Clock) -> None:
    """A thousand that read too slowly are not a thousand copies."""
    feed = await bench.open()
    bench.attach(feed)
    bench.attach(feed)
    bench.say(feed, 3)
    clock.now += 5.0
    await due(bench)

    one, other = (said.frames[-1] for said in bench.said)
    assert bench.said[0].heard("messages")[-1]["redelivery"] == 1
    assert one is other


async def test_while_redis_is_away_a_redelivery_counts_and_the_device_stays(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(tail_messages=2)
    await outstanding(bench, 5)
    bench.log.problem = StoreUnavailable("redis is away")
    clock.now += 5.0
    await due(bench)
    bench.log.problem = None
    clock.now += 10.0
    await due(bench)

    assert bench.said[0].heard("messages")[-1]["redelivery"] == 2
    assert bench.said[0].closed is None


# ---------------------------------------------------------------------------------------------------- too many


async def test_past_max_windows_the_one_awaited_longest_is_demoted_to_notify(make_bench: Make) -> None:
    bench = make_bench(max_windows=2)
    feed = await bench.open()
    places = [bench.attach(feed) for _ in range(3)]

    bench.say(feed)

    assert [place.mode for place in places] == [Mode.NOTIFY, Mode.PUSH, Mode.PUSH]
    assert (list(feed.noticed), len(bench.hub.windows)) == ([places[0]], 2)
    assert places[0].window.deadline == float("inf")


async def test_a_demoted_device_keeps_its_place_and_is_told_of_what_it_lacks(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(max_windows=1, inline_max_bytes=0)
    feed = await bench.open()
    demoted, _ = bench.attach(feed), bench.attach(feed)
    bench.say(feed)
    assert demoted.mode is Mode.NOTIFY

    bench.say(feed)
    await clock.advance(1.0)

    assert (demoted.window.acked, demoted.window.sent) == (0, 1)
    assert bench.said[0].ranges() == [(0, 1)]
    assert bench.said[0].heard("notice")[-1]["head"] == 2


async def test_a_demoted_device_is_promoted_when_it_has_caught_up(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(max_windows=1)
    feed = await bench.open()
    demoted, other = bench.attach(feed), bench.attach(feed)
    bench.say(feed)
    bench.ack(other, 1)

    bench.ack(demoted, 1)

    assert (demoted.mode, demoted in feed.pushed) == (Mode.PUSH, True)


async def test_a_device_that_pulled_and_changes_to_push_is_waited_for(bench: Bench, clock: Clock) -> None:
    """Its ack still counts when it comes, and when none comes it is sent the range again."""
    feed = await bench.open()
    bench.say(feed, 3)
    place = bench.attach(feed, at=0, mode=Mode.NOTIFY)
    page = feed.tail.page(0, limit=10, max_bytes=10_000)
    assert page is not None
    bench.hub.pulled(feed, place, page)

    bench.hub.set_modes(feed)

    assert (place.mode, place.window.outstanding, place.window.deadline) == (Mode.PUSH, 3, clock.now + 5.0)
    clock.now += 5.0
    await due(bench)
    assert bench.said[0].heard("messages")[-1]["redelivery"] == 1
    bench.ack(place, 3)
    assert place.window.acked == 3
