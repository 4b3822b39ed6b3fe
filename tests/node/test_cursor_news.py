"""What devices are told of their user's cursors, and when: at once, or with what follows from their own doing."""

from __future__ import annotations

import pytest

from pushpull.delivery.place import Place
from pushpull.model import Cursors, Uid
from pushpull.node.cursor_news import SLICE, CursorNews
from tests.delivery.words import ROOM
from tests.node.fakes import Bench

BOB = Uid("bob")


@pytest.fixture
async def devices(bench: Bench) -> list[Place]:
    """Bob's phone and laptop, both told of his cursors."""
    feed = await bench.open()
    places = [bench.attach(feed, uid=BOB) for _ in range(2)]
    for place in places:
        place.told = Cursors(delivered=1, read=1, unread=4, count=5)
    return places


@pytest.fixture
def news(bench: Bench) -> CursorNews:
    return CursorNews(bench.peers, bench.abroad)


def told(bench: Bench, device: int) -> list[tuple[int, int]]:
    """(delivered, read) of each `cursors` frame."""
    return [(frame["delivered"], frame["read"]) for frame in bench.said[device].heard("cursors")]


async def test_a_read_is_told_to_every_device_at_once(bench: Bench, news: CursorNews, devices: list[Place]) -> None:
    news.moved(ROOM, BOB, Cursors(delivered=3, read=3, unread=2, count=5))

    assert told(bench, 0) == told(bench, 1) == [(3, 3)]


async def test_the_first_ack_is_told_at_once_and_of_those_after_it_only_where_they_got_to(
    bench: Bench, news: CursorNews, devices: list[Place]
) -> None:
    for seq in (2, 3, 4):
        news.moved(ROOM, BOB, Cursors(delivered=seq, read=1, unread=4, count=5))
    assert told(bench, 0) == [(2, 1)]

    await news.tell_waiting()
    await news.tell_waiting()

    assert told(bench, 0) == told(bench, 1) == [(2, 1), (4, 1)]


async def test_one_who_acks_all_the_time_is_told_once_a_turn(
    bench: Bench, news: CursorNews, devices: list[Place]
) -> None:
    for seq in range(2, 12):
        news.moved(ROOM, BOB, Cursors(delivered=seq, read=1, unread=9, count=20))
        if seq % 3 == 0:
            await news.tell_waiting()

    assert told(bench, 0) == [(2, 1), (3, 1), (6, 1), (9, 1)]


async def test_a_send_is_told_at_once_to_the_users_other_devices_and_later_to_its_own(
    bench: Bench, news: CursorNews, devices: list[Place]
) -> None:
    for seq in (6, 7):
        news.moved(ROOM, BOB, Cursors(delivered=seq, read=seq, unread=0, count=seq), devices[0].device.session)
    assert (told(bench, 0), told(bench, 1)) == ([(6, 6)], [(6, 6), (7, 7)])

    await news.tell_waiting()

    assert told(bench, 0) == told(bench, 1) == [(6, 6), (7, 7)]


async def test_what_was_told_at_once_does_not_follow_again(
    bench: Bench, news: CursorNews, devices: list[Place]
) -> None:
    news.moved(ROOM, BOB, Cursors(delivered=2, read=1, unread=4, count=5))
    news.moved(ROOM, BOB, Cursors(delivered=3, read=1, unread=4, count=5))
    news.moved(ROOM, BOB, Cursors(delivered=3, read=2, unread=3, count=5))

    await news.tell_waiting()

    assert told(bench, 0) == [(2, 1), (3, 2)]


async def test_one_who_left_meanwhile_is_told_nothing_more(
    bench: Bench, news: CursorNews, devices: list[Place]
) -> None:
    for seq in (2, 3):
        news.moved(ROOM, BOB, Cursors(delivered=seq, read=1, unread=4, count=5))
    devices[0].attached = False

    await news.tell_waiting()

    assert (told(bench, 0), told(bench, 1)) == ([(2, 1)], [(2, 1), (3, 1)])


async def test_many_are_told_with_turns_for_others_between(bench: Bench, news: CursorNews) -> None:
    feed = await bench.open()
    for n in range(SLICE + 1):
        bench.attach(feed).told = Cursors(1, 1, 4, 5)
        for delivered in (2, 3):
            news.moved(ROOM, Uid(f"u{n}"), Cursors(delivered, 1, 4, 5))

    await news.tell_waiting()

    assert all(told(bench, n) == [(2, 1), (3, 1)] for n in range(SLICE + 1))
