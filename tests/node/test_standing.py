"""What becomes of sessions whose node may have missed what was said of them."""

from __future__ import annotations

import asyncio

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Uid
from pushpull.node import standing
from tests.node.fakes import Bench, FakePeer, turns


def fate(bench: Bench, peer: FakePeer, **what: object) -> None:
    bench.presence.fates[peer.session.id] = what


async def test_one_that_was_kicked_or_replaced_is_closed_as_if_it_had_been_heard(bench: Bench) -> None:
    kicked, replaced, fine = bench.peer("a"), bench.peer("b"), bench.peer("c")
    fate(bench, kicked, kicked=True, listed=False)
    fate(bench, replaced, replaced=True, listed=False)

    await standing.check(bench.parts)

    assert kicked.connection.closed == (4403, "the session was ended by the service")
    assert replaced.connection.closed == (4409, "replaced by another connection")
    assert fine.connection.closed is None
    assert bench.presence.entered_again == []


async def test_one_that_fell_off_the_table_enters_again(bench: Bench) -> None:
    lost, fine = bench.peer("a"), bench.peer("b")
    fate(bench, lost, listed=False)

    await standing.check(bench.parts)

    assert bench.presence.entered_again == [lost.session.id]
    assert (lost.connection.closed, fine.connection.closed) == (None, None)


async def test_one_whose_device_is_elsewhere_by_now_is_replaced(bench: Bench) -> None:
    lost = bench.peer("a")
    fate(bench, lost, listed=False)
    bench.presence.again[lost.session.id] = None

    await standing.check(bench.parts)

    assert lost.connection.closed == (4409, "replaced by another connection")


async def test_one_that_cannot_enter_is_sent_to_connect_anew(bench: Bench) -> None:
    lost = bench.peer("a")
    fate(bench, lost, listed=False)
    bench.presence.again[lost.session.id] = StoreUnavailable("redis refused it")

    await standing.check(bench.parts)

    assert lost.connection.closed == (1013, "store_unavailable")


async def test_one_that_goes_away_meanwhile_leaves_no_row(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = bench.peer("a")
    fate(bench, lost, listed=False)
    enter = bench.presence.enter_again

    async def while_it_leaves(sessions: object) -> object:
        bench.peers.drop(lost)
        return await enter(sessions)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.presence, "enter_again", while_it_leaves)
    await standing.check(bench.parts)

    assert bench.presence.closed == [lost.session.id]


async def test_where_else_the_user_is_gets_known(bench: Bench) -> None:
    peer = bench.peer("a")
    fate(bench, peer, elsewhere=frozenset({"n2"}))

    await standing.check(bench.parts)

    assert bench.abroad.users == {Uid("a"): {"n2"}}


async def test_it_is_asked_until_redis_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "RETRY_S", 0)
    kicked = bench.peer("a")
    fate(bench, kicked, kicked=True)
    bench.presence.problems = [StoreUnavailable("redis is away")] * 2

    await standing.check(bench.parts)

    assert kicked.connection.closed is not None


async def test_sessions_are_looked_up_in_chunks(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing, "CHUNK", 2)
    peers = [bench.peer() for _ in range(5)]
    for peer in peers:
        fate(bench, peer, kicked=True)

    await standing.check(bench.parts)

    assert all(peer.connection.closed for peer in peers)


async def test_a_lane_that_is_away_keeps_no_other_from_being_looked_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "RETRY_S", 0)
    waits, kicked = bench.peer("a"), bench.peer("b")
    for peer in (waits, kicked):
        fate(bench, peer, kicked=True)
    bench.presence.lanes[Uid("a")] = 1
    bench.presence.away = {1}

    checking = asyncio.create_task(standing.check(bench.parts))
    await turns()
    closed = [peer.connection.closed is not None for peer in (waits, kicked)]
    bench.presence.away = set()
    await checking

    assert closed == [False, True]
    assert waits.connection.closed is not None


async def test_one_that_is_being_entered_is_not_entered_once_more(bench: Bench) -> None:
    """It would find the session that it is about to replace, and pass for the older of the two."""
    peer = bench.peer("a")
    peer.entering = True
    fate(bench, peer, listed=False)
    bench.presence.again[peer.session.id] = None

    await standing.check(bench.parts)

    assert bench.presence.entered_again == []
    assert peer.connection.closed is None


async def test_one_that_is_being_entered_and_was_kicked_is_closed(bench: Bench) -> None:
    peer = bench.peer("a")
    peer.entering = True
    fate(bench, peer, kicked=True)

    await standing.check(bench.parts)

    assert peer.connection.closed == (4403, "the session was ended by the service")
