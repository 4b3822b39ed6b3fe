"""Users who are connected on other nodes too: who is told of them, and what of their cursors is announced."""

from __future__ import annotations

from typing import Any

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Cid, Cursors, Uid
from pushpull.node import abroad as module
from pushpull.node.cursor_news import CursorNews
from pushpull.store.values import Announcement
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, turns

BOB = Uid("bob")


def at(delivered: int, read: int) -> Cursors:
    return Cursors(delivered=delivered, read=read, unread=9 - read, count=9)


async def said(bench: Bench, kind: str) -> list[Announcement]:
    await turns()
    return [each for each in bench.presence.announced if each.kind == kind]


async def cursors_said(bench: Bench) -> list[tuple[int, int]]:
    return [(each.cursors.delivered, each.cursors.read) for each in await said(bench, "cursors") if each.cursors]


@pytest.fixture
def news(bench: Bench) -> CursorNews:
    return CursorNews(bench.peers, bench.abroad)


@pytest.fixture
async def bob(bench: Bench) -> Any:
    """Bob, connected here and on node n2."""
    peer = bench.peer("bob")
    bench.abroad.opened(BOB, {"n2"})
    return peer


async def test_whoever_opens_a_second_session_says_so_to_the_others(bench: Bench, bob: Any) -> None:
    (here,) = await said(bench, "here")
    assert (here.users, here.node) == ((BOB,), "here")


async def test_nothing_is_said_of_a_user_with_one_device(bench: Bench, news: CursorNews) -> None:
    bench.peer("alice")
    bench.abroad.opened(Uid("alice"), set())
    news.moved(ROOM, Uid("alice"), at(3, 3))
    await turns()

    assert bench.presence.announced == []


async def test_a_read_is_announced_at_once_and_acks_once_a_turn(bench: Bench, bob: Any, news: CursorNews) -> None:
    for seq in (1, 2, 3):
        news.moved(ROOM, BOB, at(seq, 1))
    assert await cursors_said(bench) == [(1, 1)]

    await news.tell_waiting()
    assert await cursors_said(bench) == [(1, 1), (3, 1)]

    news.moved(ROOM, BOB, at(3, 2))
    assert await cursors_said(bench) == [(1, 1), (3, 1), (3, 2)]


async def test_what_waits_is_not_told_after_what_is_newer(bench: Bench, bob: Any, news: CursorNews) -> None:
    news.moved(ROOM, BOB, at(1, 1))
    news.moved(ROOM, BOB, at(2, 1))
    news.moved(ROOM, BOB, at(2, 2))
    await news.tell_waiting()

    assert await cursors_said(bench) == [(1, 1), (2, 2)]


async def test_a_user_of_another_node_is_noted_while_connected_here(bench: Bench, news: CursorNews) -> None:
    bench.abroad.noted(BOB, ["n2"])
    bench.peer("alice")
    bench.abroad.noted(Uid("alice"), ["n2", "here"])

    assert bench.abroad.users == {"alice": {"n2"}}


async def test_the_last_session_here_says_that_the_user_is_gone(bench: Bench, bob: Any) -> None:
    second = bench.peer("bob")
    bench.peers.drop(second)
    bench.abroad.left(BOB)
    assert await said(bench, "gone") == []

    bench.peers.drop(bob)
    bench.abroad.left(BOB)

    assert [(each.users, each.node) for each in await said(bench, "gone")] == [((BOB,), "here")]
    assert bench.abroad.users == {}


async def test_a_user_who_left_the_other_node_is_forgotten(bench: Bench, bob: Any, news: CursorNews) -> None:
    bench.abroad.gone(BOB, "n2")
    news.moved(ROOM, BOB, at(3, 3))

    assert await cursors_said(bench) == []


async def test_a_node_that_died_has_nobody(bench: Bench, bob: Any) -> None:
    bench.abroad.noted(BOB, ["n3"])
    bench.abroad.keep({"here", "n3"})
    assert bench.abroad.users == {BOB: {"n3"}}

    bench.abroad.keep({"here"})
    assert bench.abroad.users == {}


async def test_a_call_for_a_user_who_is_not_here_is_announced_where_there_are_other_nodes(bench: Bench) -> None:
    bench.abroad.moved_by_call(ROOM, BOB, at(1, 1))
    assert await cursors_said(bench) == []

    bench.presence.known = frozenset({"here", "n2"})
    bench.abroad.moved_by_call(ROOM, BOB, at(2, 2))
    assert await cursors_said(bench) == [(2, 2)]

    bench.peer("bob")
    bench.abroad.moved_by_call(ROOM, BOB, at(3, 3))
    assert await cursors_said(bench) == [(2, 2)]


async def test_what_redis_does_not_take_is_no_trouble(
    bench: Bench, bob: Any, news: CursorNews, caplog: pytest.LogCaptureFixture
) -> None:
    bench.presence.problems.append(StoreUnavailable("redis is away"))
    news.moved(ROOM, BOB, at(1, 1))
    await turns()

    assert caplog.records == []
    news.moved(ROOM, BOB, at(2, 2))
    assert await cursors_said(bench) == [(2, 2)]


async def test_what_was_told_is_remembered_up_to_a_bound(
    bench: Bench, bob: Any, news: CursorNews, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOLD_MAX", 2)
    for cid in ("a", "b", "c"):
        news.moved(Cid(cid), BOB, at(1, 1))
    for cid in ("a", "c"):
        news.moved(Cid(cid), BOB, at(2, 1))

    told = [each.cid for each in await said(bench, "cursors")]

    assert told == ["a", "b", "c", "a"]


async def test_an_announcement_is_told_to_the_devices_here_and_goes_no_further(bench: Bench) -> None:
    place = bench.attach(await bench.open(), uid=BOB)
    place.told = at(1, 1)
    bench.abroad.noted(BOB, ["n2"])

    bench.live.rung([Announcement(kind="cursors", cid=ROOM, users=(BOB,), cursors=at(4, 4))])

    assert [frame["read"] for frame in bench.said[0].heard("cursors")] == [4]
    assert await cursors_said(bench) == []


async def test_here_and_gone_are_heard(bench: Bench) -> None:
    bench.peer("bob")
    bench.live.rung([Announcement(kind="here", users=(BOB,), node="n2")])
    assert bench.abroad.users == {BOB: {"n2"}}

    bench.live.rung([Announcement(kind="gone", users=(BOB,), node="n2")])
    assert bench.abroad.users == {}
