"""Fan-out: who gets a frame at once, and how those who could not take it get theirs."""

from __future__ import annotations

from collections.abc import Callable

from pushpull.errors import StoreUnavailable
from pushpull.model import Mode
from pushpull.node import fan_out
from tests.delivery.words import ROOM, entry, redaction
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]


async def test_everyone_who_stands_at_the_head_gets_the_same_bytes_object(bench: Bench) -> None:
    feed = await bench.open()
    for _ in range(3):
        bench.attach(feed)

    bench.say(feed)

    first = bench.said[0].frames[0]
    assert all(connection.frames[0] is first for connection in bench.said)
    assert bench.said[0].ranges() == [(0, 1)]
    assert [place.window.sent for place in bench.places] == [1, 1, 1]


async def test_a_large_group_is_served_in_slices_and_each_member_once(bench: Bench) -> None:
    feed = await bench.open()
    for _ in range(fan_out.SLICE + 5):
        bench.attach(feed)

    bench.say(feed)
    bench.say(feed)
    assert not any(connection.frames for connection in bench.said)
    await turns()

    assert all(connection.ranges() in ([(0, 1), (1, 2)], [(0, 2)]) for connection in bench.said)
    assert (feed.fanned, feed.fanning) == (2, False)


async def test_what_comes_during_a_fan_out_travels_in_the_next_frame(bench: Bench) -> None:
    feed = await bench.open()
    for _ in range(fan_out.SLICE + 1):
        bench.attach(feed)
    bench.say(feed)
    await turns(1)
    bench.say(feed, 3)
    await turns()

    assert all(connection.ranges() == [(0, 1), (1, 4)] for connection in bench.said)


async def test_a_device_that_did_not_ack_gets_no_more_than_max_ack_pending(make_bench: Make) -> None:
    bench = make_bench(max_ack_pending=3)
    feed = await bench.open()
    place = bench.attach(feed)

    for _ in range(5):
        bench.say(feed)

    assert bench.said[0].ranges() == [(0, 1), (1, 2), (2, 3)]
    assert place.lagging


async def test_a_lagging_device_gets_batch_after_ack_of_at_most_max_ack_pending(make_bench: Make) -> None:
    bench = make_bench(max_ack_pending=3)
    feed = await bench.open()
    place = bench.attach(feed)
    for _ in range(8):
        bench.say(feed)

    bench.ack(place, 2)
    assert bench.said[0].ranges()[3:] == []
    bench.ack(place, 3)
    assert bench.said[0].ranges()[3:] == [(3, 6)]
    bench.ack(place, 6)
    assert bench.said[0].ranges()[4:] == [(6, 8)]
    assert not place.lagging

    bench.say(feed)
    assert bench.said[0].ranges()[5:] == [(8, 9)]


async def test_news_larger_than_the_window_reach_a_device_that_has_acked_everything(make_bench: Make) -> None:
    """More than the room in one frame and no ack to come: it must not be forgotten."""
    bench = make_bench(max_ack_pending=3)
    feed = await bench.open()
    bench.attach(feed)
    bench.log.put(5)
    bench.reader.mark_stale(feed)
    await turns()

    bench.hub.settle_full()

    assert bench.said[0].ranges() == [(0, 3)]


async def test_a_burst_is_cut_to_what_a_window_has_room_for(make_bench: Make) -> None:
    bench = make_bench(max_ack_pending=3)
    feed = await bench.open()
    place = bench.attach(feed)
    bench.log.put(5)
    bench.reader.mark_stale(feed)
    await turns()
    assert bench.said[0].ranges() == [(0, 3)]

    bench.ack(place, 3)

    assert bench.said[0].ranges() == [(0, 3), (3, 5)]


async def test_a_device_that_stands_above_the_tail_is_not_left_behind(bench: Bench) -> None:
    """Its row was read after a message whose bell has not rung here yet."""
    bench.log.put(5)
    feed = await bench.open()
    place = bench.attach(feed, at=7)
    bench.log.put(4)

    bench.ring(bench.log.entries[ROOM][5:], feed)
    bench.hub.settle_full()

    assert bench.said[0].ranges()[-1][1] == 9
    assert place.window.sent == 9


async def test_a_device_that_attaches_behind_gets_its_backlog_from_the_tail(bench: Bench) -> None:
    feed = await bench.open()
    bench.say(feed, 4)
    place = bench.attach(feed, at=1)

    bench.hub.settle(feed, place)

    assert bench.said[0].ranges() == [(1, 4)]
    assert bench.log.reads == []


async def test_a_backlog_below_the_tail_is_read_once_for_all_who_wait(bench: Bench) -> None:
    bench.log.put(5)
    feed = await bench.open()
    places = [bench.attach(feed, at=2) for _ in range(3)]
    for place in places:
        bench.hub.settle(feed, place)
    await turns()

    assert [connection.ranges() for connection in bench.said] == [[(2, 5)]] * 3
    assert bench.log.reads == [(ROOM, 2)]


async def test_live_news_during_a_backlog_read_follow_it(bench: Bench) -> None:
    bench.log.put(5)
    feed = await bench.open()
    place = bench.attach(feed, at=2)
    bench.hub.settle(feed, place)
    bench.say(feed)
    await turns()
    bench.ack(place, place.window.sent)

    after = [frame["items"][0]["seq"] for frame in bench.said[0].heard("messages")]
    assert after[0] == 3
    assert place.window.sent == 6


async def test_a_device_whose_backlog_cannot_be_read_is_sent_away_to_come_back(bench: Bench) -> None:
    bench.log.put(5)
    feed = await bench.open()
    place = bench.attach(feed, at=2)
    bench.log.problem = StoreUnavailable("redis is away")

    bench.hub.settle(feed, place)
    await turns()

    assert bench.said[0].closed is not None
    assert bench.said[0].closed[0] == 1013


async def test_a_device_that_left_while_its_backlog_was_read_gets_nothing(bench: Bench) -> None:
    bench.log.put(5)
    feed = await bench.open()
    place = bench.attach(feed, at=2)
    bench.hub.settle(feed, place)
    place.attached = False
    bench.hub.detach(place)
    await turns()

    assert bench.said[0].frames == []


async def test_more_news_than_the_tail_holds_go_by_each_ones_backlog(make_bench: Make) -> None:
    bench = make_bench(tail_messages=4)
    feed = await bench.open()
    place = bench.attach(feed)
    bench.log.put(20)
    bench.reader.mark_stale(feed)
    await turns()

    assert bench.said[0].ranges() == [(0, 20)]
    assert (feed.fanned, place.window.sent, place.lagging) == (20, 20, False)


async def test_a_device_below_the_floor_is_told_before_it_gets_anything(bench: Bench) -> None:
    bench.log.put(9)
    bench.log.meta[ROOM] = {"floor": 5}
    feed = await bench.open()
    place = bench.attach(feed, at=2)

    bench.hub.settle(feed, place)
    await turns()

    kinds = [(frame["type"], frame.get("pos"), frame.get("after")) for frame in bench.said[0].heard()]
    assert kinds == [("reset", "4-0", None), ("messages", None, 4)]
    assert bench.said[0].heard("reset")[0]["reason"] == "trimmed"


async def test_a_floor_that_rose_while_the_backlog_was_read_is_told_too(bench: Bench) -> None:
    """The node has not heard of the trim: the read itself shows it."""
    bench.log.put(9)
    feed = await bench.open()
    place = bench.attach(feed, at=2)
    bench.log.meta[ROOM] = {"floor": 5}

    bench.hub.settle(feed, place)
    await turns()

    assert [frame["type"] for frame in bench.said[0].heard()] == ["reset", "messages"]
    assert bench.said[0].ranges() == [(4, 9)]


async def test_a_held_feed_sends_nothing(bench: Bench) -> None:
    bench.log.put(3)
    feed = await bench.open()
    pushed = bench.attach(feed, at=1)
    bench.attach(feed, at=1, mode=Mode.NOTIFY, uid="bob")
    feed.resetting = True

    bench.say(feed, mentions=("bob",))
    bench.hub.settle(feed, pushed)
    await turns()

    assert [connection.frames for connection in bench.said] == [[], []]


async def test_a_fan_out_in_slices_stops_when_the_log_turns_out_to_be_another(bench: Bench) -> None:
    feed = await bench.open()
    for _ in range(fan_out.SLICE + 5):
        bench.attach(feed)
    bench.say(feed)
    await turns(1)
    feed.resetting = True
    await turns()

    assert [len(connection.frames) for connection in bench.said].count(0) == 5
    assert feed.fanned == 0


async def test_a_redacted_message_is_a_hole_in_the_next_page(bench: Bench) -> None:
    feed = await bench.open()
    bench.say(feed, 2)
    bench.log.entries[ROOM][1:] = []
    bench.log.entries[ROOM].append(redaction(3, 2))
    feed.tail.extend([redaction(3, 2)])
    place = bench.attach(feed, at=0)

    bench.hub.settle(feed, place)

    (frame,) = bench.said[0].heard("messages")
    assert ([item["seq"] for item in frame["items"]], frame["upto"]) == ([1, 3], 3)


async def test_a_pull_answered_in_push_is_waited_for_like_a_push(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    bench.say(feed, 3)
    place = bench.attach(feed, at=0)
    page = feed.tail.page(0, limit=2, max_bytes=10_000)
    assert page is not None

    bench.hub.pulled(feed, place, page)

    assert (place.window.sent, place.window.deadline) == (2, clock.now + 5.0)
    assert len(bench.hub.windows) == 1


async def test_a_pull_that_brings_nothing_new_does_not_leave_a_lagging_device_waiting(bench: Bench) -> None:
    feed = await bench.open()
    bench.say(feed, 3)
    place = bench.attach(feed, at=2)
    place.lagging = True
    page = feed.tail.page(0, limit=2, max_bytes=10_000)
    assert page is not None

    bench.hub.pulled(feed, place, page)

    assert bench.said[0].ranges() == [(2, 3)]


async def test_news_larger_than_a_page_go_out_in_several_frames(make_bench: Make) -> None:
    bench = make_bench(page_limit=2)
    feed = await bench.open()
    bench.attach(feed)
    bench.log.put(5)
    bench.reader.mark_stale(feed)
    await turns()

    assert bench.said[0].ranges() == [(0, 2), (2, 4), (4, 5)]


async def test_the_time_of_delivery_is_that_of_the_last_message_of_the_frame(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    bench.attach(feed)
    clock.now = entry(1).ts / 1000 + 2.0

    bench.say(feed)

    assert bench.metrics.registry.get_sample_value("pushpull_delivery_seconds_sum") == 2.0
    assert bench.metrics.registry.get_sample_value("pushpull_deliveries_total") == 1.0
