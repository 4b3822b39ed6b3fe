"""Receipts in a node: when the bell is to be rung, and what of it the devices here are told, when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pushpull.delivery.shedding import Strain
from pushpull.model import Cid, Mode, Uid
from pushpull.node import receipts
from pushpull.node.feed import Feed
from pushpull.store.passing import ReceiptBell
from pushpull.store.values import NodeRecord
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, Clock, turns

BOB = Uid("bob")
IDLE = Strain(load=0.0, lag_s=0.0, waiting=0.0)
BUSY = Strain(load=0.0, lag_s=0.25, waiting=0.0)
ELSEWHERE = [NodeRecord("here", 0, {}), NodeRecord("there", 0, {"receipts": True})]


@pytest.fixture
def clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr(receipts, "time", clock)
    return clock


def device(bench: Bench, feed: Feed, uid: str, *, asks: bool = True, mode: Mode | None = None) -> None:
    place = bench.attach(feed, uid=uid, mode=mode, features="receipts" if asks else "")
    peer = bench.peers.get(place.device.session)
    assert peer is not None
    bench.receipts.opened(peer.session)


def rung(*moved: tuple[str, int, int], **changes: Any) -> ReceiptBell:
    fields: dict[str, Any] = {"cid": ROOM, "epoch": "1", "mver": 1}
    return ReceiptBell(moved=tuple((Uid(uid), at, read) for uid, at, read in moved), **fields | changes)


def told(bench: Bench) -> list[list[tuple[str, int, int]]]:
    """What each device was told so far: who, delivered, read."""
    return [
        [(frame["user"], frame["delivered"], frame["read"]) for frame in said.heard("receipt")] for said in bench.said
    ]


# ------------------------------------------------------------------------------------------------ asked


async def test_where_nobody_asked_no_bell_is_rung(bench: Bench) -> None:
    feed = await bench.open()
    device(bench, feed, "alice", asks=False)

    assert not bench.receipts.asked(ROOM, [BOB])


async def test_a_device_asks_for_its_own_conversations(bench: Bench) -> None:
    bench.log.put(0, Cid("other"))
    device(bench, await bench.open(), "alice")
    await bench.open(Cid("other"))

    assert bench.receipts.asked(ROOM, [BOB])
    assert not bench.receipts.asked(Cid("other"), [BOB])


async def test_who_left_asks_no_more(bench: Bench) -> None:
    feed = await bench.open()
    device(bench, feed, "alice")
    (peer,) = bench.peers.of(Uid("alice"))

    bench.receipts.left(peer.session)

    assert not bench.receipts.wanted
    assert not bench.receipts.asked(ROOM, [BOB])


async def test_another_nodes_devices_may_ask_for_any_conversation(bench: Bench) -> None:
    bench.receipts.noted(ELSEWHERE)

    assert bench.receipts.asked(ROOM, [BOB])  # not even known here
    device(bench, await bench.open(), "alice", asks=False)
    assert bench.receipts.asked(ROOM, [BOB])


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize(
    ("settings", "members"),
    [({"push_max_members": 3}, 4), ({"push_max_members": 0}, 2)],
    ids=["pushed and above the size", "notified"],
)
async def test_only_small_pushed_conversations_have_receipts(
    make_bench: Callable[..., Bench], settings: dict[str, int], members: int, elsewhere: bool
) -> None:
    bench = make_bench(hysteresis=0.5, **settings)
    feed = await bench.open()
    device(bench, feed, "alice", mode=Mode.PUSH)
    bench.log.meta[ROOM] = {"members": members, "mver": 2}
    bench.reader.mark_stale(feed)
    await turns()
    bench.receipts.noted(ELSEWHERE if elsewhere else [])

    assert not bench.receipts.asked(ROOM, [BOB])
    bench.live.rung([rung(("bob", 1, 1), mver=2)])
    await bench.receipts.tell_waiting()
    assert told(bench) == [[]]


async def test_a_busy_node_rings_no_bell(bench: Bench) -> None:
    device(bench, await bench.open(), "alice")
    bench.hub.relief.adapt(BUSY)

    assert not bench.receipts.asked(ROOM, [BOB])


def quiet(bench: Bench) -> None:
    for _ in range(3):
        bench.hub.relief.adapt(IDLE)


async def test_who_moved_at_a_busy_node_is_rung_for_once_it_has_time(bench: Bench) -> None:
    device(bench, await bench.open(), "alice")
    bench.hub.relief.adapt(BUSY)
    for who in ([BOB], [Uid("dan"), BOB]):
        bench.receipts.asked(ROOM, who)
    assert bench.receipts.take_owed() == []

    quiet(bench)

    assert bench.receipts.take_owed() == [(ROOM, BOB), (ROOM, Uid("dan"))]
    assert bench.receipts.take_owed() == []


async def test_where_nobody_asked_a_busy_node_owes_nothing(bench: Bench) -> None:
    device(bench, await bench.open(), "alice", asks=False)
    bench.hub.relief.adapt(BUSY)
    bench.receipts.asked(ROOM, [BOB])

    quiet(bench)

    assert bench.receipts.take_owed() == []


async def test_a_busy_node_owes_no_more_members_than_the_bound_and_pays_some_at_a_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "MOVED_MAX", 3)
    monkeypatch.setattr(receipts, "OWED_PER_TURN", 2)
    bench.receipts.noted(ELSEWHERE)
    bench.hub.relief.adapt(BUSY)
    bench.receipts.asked(ROOM, map(Uid, "abcd"))

    quiet(bench)

    assert [[uid for _, uid in bench.receipts.take_owed()] for _ in range(3)] == [["a", "b"], ["c"], []]


# ------------------------------------------------------------------------------------------------ told


async def test_devices_that_asked_hear_of_the_others_and_not_of_themselves(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    for uid in ("alice", "bob", "bob"):
        device(bench, feed, uid)
    device(bench, feed, "carol", asks=False)

    bench.live.rung([rung(("alice", 3, 2), ("bob", 5, 5))])
    await bench.receipts.tell_waiting()

    assert told(bench) == [[("bob", 5, 5)], [("alice", 3, 2)], [("alice", 3, 2)], []]
    assert bench.metrics.receipts.value == 3


async def test_what_a_member_does_within_a_second_is_told_once_the_last_of_it(bench: Bench, clock: Clock) -> None:
    device(bench, await bench.open(), "alice")
    bench.live.rung([rung(("bob", 1, 0))])
    await bench.receipts.tell_waiting()
    for seq in (2, 3, 4):
        bench.live.rung([rung(("bob", seq, 0))])
        await bench.receipts.tell_waiting()
    assert told(bench) == [[("bob", 1, 0)]]

    clock.now += 1.0
    await bench.receipts.tell_waiting()

    assert told(bench) == [[("bob", 1, 0), ("bob", 4, 0)]]


async def test_after_a_quiet_second_the_next_is_told_at_once(bench: Bench, clock: Clock) -> None:
    device(bench, await bench.open(), "alice")
    bench.live.rung([rung(("bob", 1, 0))])
    await bench.receipts.tell_waiting()
    clock.now += 1.0
    await bench.receipts.tell_waiting()
    assert not bench.receipts._waiting  # nothing is kept of it

    bench.live.rung([rung(("bob", 2, 0))])
    await bench.receipts.tell_waiting()

    assert told(bench) == [[("bob", 1, 0), ("bob", 2, 0)]]


async def test_who_was_removed_hears_nothing_though_the_node_was_not_told(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    device(bench, feed, "alice")
    device(bench, feed, "carol")
    bench.log.meta[ROOM] = {"mver": 2, "removals": 1}
    bench.members.gone = {"carol"}

    bench.live.rung([rung(("bob", 1, 1), mver=2)])
    await bench.receipts.tell_waiting()
    assert told(bench) == [[], []]  # the bell knows of a change that this node has not read
    await turns()
    await bench.receipts.tell_waiting()

    assert told(bench) == [[("bob", 1, 1)], []]


async def test_while_members_are_checked_receipts_wait(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    device(bench, feed, "alice")
    feed.doubted = True
    bench.live.rung([rung(("bob", 1, 1))])
    await bench.receipts.tell_waiting()
    assert told(bench) == [[]]

    feed.doubted = False
    await bench.receipts.tell_waiting()

    assert told(bench) == [[("bob", 1, 1)]]


async def test_a_busy_node_lets_receipts_wait(bench: Bench, clock: Clock) -> None:
    device(bench, await bench.open(), "alice")
    bench.live.rung([rung(("bob", 1, 1))])
    bench.hub.relief.adapt(BUSY)
    await bench.receipts.tell_waiting()
    assert told(bench) == [[]]

    for _ in range(3):
        bench.hub.relief.adapt(IDLE)
    await bench.receipts.tell_waiting()

    assert told(bench) == [[("bob", 1, 1)]]


async def test_a_device_that_is_behind_is_passed_over(make_bench: Callable[..., Bench], clock: Clock) -> None:
    bench = make_bench(limits={"buffer_bytes": 4096})
    feed = await bench.open()
    device(bench, feed, "alice")
    device(bench, feed, "carol")
    bench.said[0].buffered = 1025

    bench.live.rung([rung(("bob", 1, 1))])
    await bench.receipts.tell_waiting()

    assert told(bench) == [[], [("bob", 1, 1)]]


async def test_a_large_crowd_is_told_more_rarely(bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pushpull.delivery.receipts.FRAMES_PER_S", 2)
    feed = await bench.open()
    for number in range(3):
        device(bench, feed, f"u{number}")
    bench.live.rung([rung(("bob", 1, 1), ("dan", 1, 1))])
    await bench.receipts.tell_waiting()
    bench.live.rung([rung(("bob", 2, 2))])

    clock.now += 2.9
    await bench.receipts.tell_waiting()
    assert told(bench)[0] == [("bob", 1, 1), ("dan", 1, 1)]
    clock.now += 0.1
    await bench.receipts.tell_waiting()
    assert told(bench)[0] == [("bob", 1, 1), ("dan", 1, 1), ("bob", 2, 2)]


async def test_no_more_members_than_the_bound_wait(bench: Bench, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "MOVED_MAX", 2)
    device(bench, await bench.open(), "alice")
    bench.live.rung([rung(("bob", 1, 1), ("dan", 1, 1), ("eve", 1, 1)), rung(("bob", 2, 2), ("fay", 1, 1))])
    await bench.receipts.tell_waiting()
    assert told(bench) == [[("bob", 2, 2), ("dan", 1, 1)]]

    clock.now += 1.0
    bench.live.rung([rung(("eve", 2, 2))])
    await bench.receipts.tell_waiting()

    assert told(bench)[0][2:] == [("eve", 2, 2)]


async def test_receipts_of_a_log_that_was_lost_are_forgotten(bench: Bench, clock: Clock) -> None:
    feed = await bench.open()
    device(bench, feed, "alice")
    bench.live.rung([rung(("bob", 9, 9))])
    feed.set_epoch("2")

    await bench.receipts.tell_waiting()

    assert told(bench) == [[]]
    assert not bench.receipts._waiting
