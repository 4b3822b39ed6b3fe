"""Who looks at a conversation, who does not, and how each is served: in a large one, gathered and told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pushpull.delivery.place import Place
from pushpull.delivery.policy import Focus, Way
from pushpull.model import ConversationSettings, Mode
from pushpull.node.feed import Feed
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]


@pytest.fixture
def bench(make_bench: Make) -> Bench:
    """A conversation of 10,000; small messages do not ride in notices."""
    bench = make_bench(inline_max_bytes=0, max_ack_pending=10, push_max_per_s=400.0)
    bench.log.meta[ROOM] = {"members": 10_000}
    return bench


def attach(bench: Bench, feed: Feed, focus: Focus, *, at: int | None = None) -> Place:
    """A device that has said so in its hello."""
    place = bench.attach(feed, at=at)
    feed.discard(place)
    place.focus = focus
    bench.hub.attach(feed, place)
    return place


def look(bench: Bench, place: Place, focus: Focus) -> None:
    place.focus = focus
    bench.hub.looked(place)


async def test_in_a_large_conversation_each_is_served_by_what_it_has_on_its_screen(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    for focus in Focus:
        attach(bench, feed, focus)

    bench.say(feed)
    await turns()

    unsaid, here, elsewhere = bench.said
    assert [place.way for place in bench.places] == [Way.NOTIFIED, Way.GATHERED, Way.TOLD]
    assert [frame["head"] for frame in unsaid.heard("notice")] == [1]
    assert here.ranges() == [(0, 1)]
    assert [frame["head"] for frame in elsewhere.heard("notice")] == [1]


async def test_who_looks_elsewhere_is_told_seldom(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    for focus in Focus:
        attach(bench, feed, focus)
    for _ in range(40):
        bench.say(feed)
        bench.ack(bench.places[1], bench.places[1].window.sent)
        await clock.advance(0.1)

    unsaid, here, elsewhere = bench.said
    assert 19 <= len(unsaid.heard("notice")) <= 21  # 4 s, one each 200 ms
    assert 15 <= len(here.ranges()) <= 17  # one each 250 ms
    assert [frame["head"] for frame in elsewhere.heard("notice")] == [1, 20, 40]  # one each 2 s
    assert here.ranges()[-1][1] >= 38


async def test_a_mention_of_everybody_does_not_wait(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    attach(bench, feed, Focus.ELSEWHERE)
    bench.say(feed)
    await clock.advance(0.3)

    bench.say(feed, mentions=("*",))
    await turns()

    assert [(frame["head"], frame.get("mentioned")) for frame in bench.said[0].heard("notice")] == [
        (1, None),
        (2, True),
    ]


async def test_who_opens_the_conversation_gets_what_it_lacks_at_once(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    place = attach(bench, feed, Focus.ELSEWHERE)
    bench.say(feed, 5)
    await turns()
    assert bench.said[0].ranges() == []

    look(bench, place, Focus.HERE)

    assert (place.way, bench.said[0].ranges()) == (Way.GATHERED, [(0, 5)])
    assert place in bench.hub.windows


async def test_who_opens_it_and_is_far_behind_is_told_and_pushed_to_once_it_has_pulled(
    bench: Bench, clock: Clock
) -> None:
    feed = await bench.open()
    place = attach(bench, feed, Focus.ELSEWHERE)
    bench.say(feed, 30)
    await turns()
    look(bench, place, Focus.HERE)
    assert (place.way, bench.said[0].ranges()) == (Way.NOTIFIED, [])
    assert [frame["head"] for frame in bench.said[0].heard("notice")] == [30, 30]

    page = feed.tail.page(0, limit=100, max_bytes=10_000)
    assert page is not None
    bench.hub.pulled(feed, place, page)
    bench.ack(place, page.upto)

    assert place.way is Way.GATHERED


async def test_who_leaves_the_conversation_owes_no_ack_any_more(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    place = attach(bench, feed, Focus.HERE)
    bench.say(feed)
    await turns()
    assert place in bench.hub.windows

    look(bench, place, Focus.ELSEWHERE)

    assert (place.way, len(bench.hub.windows), place.window.outstanding) == (Way.TOLD, 0, 1)
    bench.ack(place, 1)
    assert place.window.outstanding == 0


async def test_who_looks_and_cannot_keep_up_is_demoted_and_promoted_as_ever(make_bench: Make, clock: Clock) -> None:
    bench = make_bench(limits={"buffer_bytes": 1024}, inline_max_bytes=0)
    bench.log.meta[ROOM] = {"members": 10_000}
    feed = await bench.open()
    slow = attach(bench, feed, Focus.HERE)
    bench.said[0].buffered = 1025
    bench.say(feed)
    await turns()
    assert slow.way is Way.NOTIFIED

    bench.said[0].buffered = 0
    page = feed.tail.page(0, limit=100, max_bytes=10_000)
    assert page is not None
    bench.hub.pulled(feed, slow, page)
    bench.ack(slow, 1)

    assert slow.way is Way.GATHERED


async def test_a_small_conversation_is_pushed_to_everybody_until_it_is_busy(bench: Bench, clock: Clock) -> None:
    bench.log.meta[ROOM] = {"members": 100}
    feed = await bench.open()
    for focus in Focus:
        attach(bench, feed, focus)
    bench.say(feed)
    assert [said.ranges() for said in bench.said] == [[(0, 1)]] * 3

    for _ in range(3):  # 50 messages a second: above 4.4 after three seconds
        bench.say(feed, 50)
        for place in bench.places:
            bench.ack(place, place.window.sent)
        clock.now += 1.0
        await bench.hub.ways.look(0.1, over_s=1.0)

    assert [place.way for place in bench.places] == [Way.PUSHED, Way.GATHERED, Way.TOLD]


async def test_a_busy_conversation_that_falls_silent_is_followed_until_it_is_calm(bench: Bench, clock: Clock) -> None:
    bench.log.meta[ROOM] = {"members": 100}
    feed = await bench.open()
    place = attach(bench, feed, Focus.ELSEWHERE)
    bench.say(feed, 300)
    await bench.hub.ways.look(0.1, over_s=1.0)
    assert place.way is Way.TOLD

    for _ in range(60):
        clock.now += 1.0
        await bench.hub.ways.look(0.1, over_s=1.0)

    assert place.way is Way.PUSHED
    clock.now += 1_000.0
    await bench.hub.ways.look(0.1, over_s=1.0)
    assert feed.ruling.rests()


async def test_a_conversation_that_grows_large_moves_those_who_said_nothing_to_notices(
    bench: Bench, clock: Clock
) -> None:
    bench.log.meta[ROOM] = {"members": 100}
    feed = await bench.open()
    places = [attach(bench, feed, focus) for focus in Focus]

    bench.log.meta[ROOM] = {"members": 1_000, "mver": 2}
    bench.reader.mark_stale(feed)
    await turns()

    assert [place.way for place in places] == [Way.NOTIFIED, Way.GATHERED, Way.TOLD]


async def test_the_rows_of_a_session_say_the_mode_it_is_served_in(bench: Bench) -> None:
    feed = await bench.open()

    assert [attach(bench, feed, focus).mode for focus in Focus] == [Mode.NOTIFY, Mode.PUSH, Mode.NOTIFY]


async def test_what_a_conversation_says_of_itself_binds_those_who_look_too(bench: Bench) -> None:
    bench.log.meta[ROOM] = {"members": 10, "settings": ConversationSettings(mode="notify")}
    feed = await bench.open()

    assert [attach(bench, feed, focus).way for focus in Focus] == [Way.NOTIFIED] * 3
