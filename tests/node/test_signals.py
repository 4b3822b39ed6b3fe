"""Signals in a node: what goes to Redis, and who hears what rings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pushpull.delivery.shedding import Strain
from pushpull.errors import NotAllowed, StoreUnavailable
from pushpull.model import Mode, SessionId, Uid
from pushpull.node import signals
from pushpull.node.signals import WAITING_MAX
from pushpull.store.passing import SignalBell
from tests.delivery.words import ALICE, ROOM
from tests.node.fakes import Bench, turns

BUSY = Strain(load=0.0, lag_s=0.1, waiting=0.0)
TYPING = {"type": "signal", "cid": "room", "from": "alice", "body": {"typing": True}}


def rung(**changes: Any) -> SignalBell:
    fields: dict[str, Any] = {
        "cid": ROOM,
        "epoch": "1",
        "mver": 1,
        "sender": ALICE,
        "session": SessionId("s0"),
        "body": b'{"typing":true}',
    }
    return SignalBell(**fields | changes)


async def test_a_signal_goes_to_every_device_but_the_one_that_said_it(bench: Bench) -> None:
    feed = await bench.open()
    for uid in ("alice", "alice", "bob"):
        bench.attach(feed, uid=uid)
    bench.attach(feed, uid="carol", mode=Mode.NOTIFY)

    bench.live.rung([rung()])

    assert [said.heard() for said in bench.said] == [[], [TYPING], [TYPING], [TYPING]]
    assert bench.metrics.signals.value == 3


async def test_a_signal_about_members_that_are_not_known_here_is_left_out_and_looked_into(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed, uid="bob")
    bench.log.meta[ROOM] = {"mver": 2, "removals": 1}
    bench.members.gone = {"bob"}

    bench.live.rung([rung(mver=2)])
    await turns()

    assert bench.said[0].heard() == []
    assert not feed.places


async def test_while_members_are_checked_nobody_hears_a_signal(bench: Bench) -> None:
    feed = await bench.open()
    bench.attach(feed, uid="bob")
    feed.doubted = True

    bench.live.rung([rung()])

    assert bench.said[0].heard() == []


async def test_a_signal_of_another_log_by_that_name_is_left_out(bench: Bench) -> None:
    bench.attach(await bench.open(), uid="bob")

    bench.live.rung([rung(epoch="0")])

    assert bench.said[0].heard() == []


async def test_a_device_that_is_behind_gets_no_signals(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(limits={"buffer_bytes": 4096})
    bench.attach(await bench.open(), uid="bob")
    bench.said[0].buffered = 1025

    bench.live.rung([rung()])

    assert bench.said[0].heard() == []


async def test_a_busy_node_leaves_signals_out_both_ways(bench: Bench) -> None:
    place = bench.attach(await bench.open(), uid="bob")
    bench.hub.relief.adapt(BUSY)

    await bench.parts.signals.say(place, b"1")
    bench.live.rung([rung()])

    assert bench.crier.said == []
    assert bench.said[0].heard() == []


async def test_a_large_conversation_has_no_signals(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(push_max_members=3)
    bench.log.meta[ROOM] = {"members": 4}
    place = bench.attach(await bench.open(), uid="bob")

    with pytest.raises(NotAllowed, match="room has 4 members: signals go to conversations of up to 3"):
        await bench.parts.signals.say(place, b"1")
    assert bench.crier.said == []


async def test_a_signal_is_worth_saying_for_a_second(bench: Bench, monkeypatch: pytest.MonkeyPatch, clock: Any) -> None:
    monkeypatch.setattr(signals, "time", clock)
    place = bench.attach(await bench.open(), uid="bob")
    await bench.parts.signals.say(place, b"1")
    (said,) = bench.crier.said
    assert (said.sender, said.session, said.most_members) == (Uid("bob"), place.device.session, 200)

    clock.now += 0.9
    assert said.still()
    clock.now += 0.2
    assert not said.still()


async def test_no_more_signals_than_the_bound_wait_for_redis(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "WAITING_MAX", 2)
    assert WAITING_MAX == 1_000
    place = bench.attach(await bench.open(), uid="bob")
    bench.crier.hold = asyncio.Event()
    waiting = [asyncio.create_task(bench.parts.signals.say(place, b"%d" % n)) for n in range(3)]
    await turns()

    bench.crier.hold.set()
    await asyncio.gather(*waiting)

    assert [said.body for said in bench.crier.said] == [b"0", b"1"]


async def test_what_redis_refused_makes_room_for_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "WAITING_MAX", 1)
    place = bench.attach(await bench.open(), uid="bob")
    bench.crier.problem = StoreUnavailable("redis is away")
    with pytest.raises(StoreUnavailable):
        await bench.parts.signals.say(place, b"1")
    bench.crier.problem = None

    await bench.parts.signals.say(place, b"2")

    assert [said.body for said in bench.crier.said] == [b"2"]
