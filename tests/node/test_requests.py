"""What an open session asks for: reads, acks, pulls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pushpull.delivery.decisions import Fetch, ReadTo
from pushpull.delivery.place import Place
from pushpull.errors import Invalid, NotAMember, RateLimited, StoreUnavailable
from pushpull.model import Mode, Uid
from pushpull.node.requests import Requests
from tests.delivery.words import ROOM, log_id
from tests.node.fakes import Bench, turns

Make = Callable[..., Bench]


class Moves:
    """Where the cursors were moved to."""

    def __init__(self) -> None:
        self.delivered: list[str] = []
        self.read: list[str] = []

    def move(self, cid: object, uid: Uid, *, delivered: str | None = None, read: str | None = None) -> None:
        self.delivered += [delivered] if delivered else []
        self.read += [read] if read else []


class Asking:
    """A device's session in the room, and what it asks for."""

    def __init__(self, bench: Bench, place: Place) -> None:
        self.place, self.bench = place, bench
        self.moves = Moves()
        (peer,) = bench.peers.of(place.device.uid)
        parts: Any = SimpleNamespace(**vars(bench.parts), cursors=self.moves)
        self._requests = Requests(parts, peer.session)
        self.said = bench.said[bench.places.index(place)]

    async def pull(self, after: int, limit: int = 100) -> None:
        await self._requests.fetch(Fetch(self.place, after, None, limit, None))

    async def read(self, seq: int) -> None:
        await self._requests.read_to(ReadTo(ROOM, seq, None))

    def ack(self, seq: int) -> None:
        assert self.place.window.ack(seq, now=0.0, settings=self.bench.settings.delivery)
        self._requests.acked(self.place)


async def asking(bench: Bench, count: int = 5, *, at: int = 0, mode: Mode = Mode.NOTIFY, said: int = 0) -> Asking:
    """A device at `at`, in a room of `count` messages of which the newest `said` are in the tail."""
    bench.log.put(count - said)
    feed = await bench.open()
    bench.say(feed, said)
    return Asking(bench, bench.attach(feed, at=at, mode=mode))


async def test_a_pull_is_answered_from_the_tail_with_the_after_it_named(bench: Bench) -> None:
    device = await asking(bench, said=5)

    await device.pull(1, limit=2)

    frame = device.said.heard("messages")[0]
    assert (frame["after"], frame["upto"], frame["head"]) == (1, 3, 5)
    assert (device.place.window.sent, bench.log.reads) == (3, [])


async def test_a_pull_of_what_this_node_has_not_heard_of_looks_into_the_log(bench: Bench) -> None:
    device = await asking(bench)
    bench.log.put(3)

    await device.pull(6)

    assert device.said.ranges() == [(6, 8)]
    with pytest.raises(Invalid, match="cursor 9 is past the head 8"):
        await device.pull(9)


async def test_one_forward_pull_is_under_way_at_a_time(bench: Bench) -> None:
    device = await asking(bench)
    bench.log.hold = asyncio.Event()
    first = asyncio.create_task(device.pull(0))
    await turns()

    with pytest.raises(RateLimited):
        await device.pull(0)
    bench.log.hold.set()
    await first
    await device.pull(5)

    assert device.said.ranges() == [(0, 5), (5, 5)]


async def test_after_a_failed_pull_another_may_be_tried(bench: Bench) -> None:
    device = await asking(bench)
    bench.log.problem = StoreUnavailable("redis is away")
    with pytest.raises(StoreUnavailable):
        await device.pull(0)

    bench.log.problem = None
    await device.pull(0)

    assert device.said.ranges() == [(0, 5)]


async def test_a_pull_of_a_held_log_is_to_be_tried_again(bench: Bench) -> None:
    device = await asking(bench, said=5)
    feed = bench.feeds.get(ROOM)
    assert feed is not None
    feed.resetting = True

    with pytest.raises(StoreUnavailable, match="pull again"):
        await device.pull(0)
    assert device.said.frames == []


async def test_one_who_left_during_its_pull_gets_nothing(bench: Bench) -> None:
    device = await asking(bench)
    bench.log.hold = asyncio.Event()
    pulling = asyncio.create_task(device.pull(0))
    await turns()

    bench.peers.of(device.place.device.uid)[0].leave(ROOM, "left")
    bench.log.hold.set()
    await pulling

    assert device.said.frames == []


async def test_what_lies_before_its_joining_is_not_shown(bench: Bench) -> None:
    device = await asking(bench, said=5)
    device.place.oldest = 4

    await device.pull(0)

    frame = device.said.heard("messages")[0]
    assert ([item["seq"] for item in frame["items"]], frame["after"]) == ([4, 5], 0)


@pytest.mark.parametrize("sent", [1, 5])
async def test_a_pull_from_below_the_floor_is_told_what_is_gone_for_good(bench: Bench, sent: int) -> None:
    device = await asking(bench, at=sent)
    bench.log.meta[ROOM] = {"floor": 4}

    await device.pull(1)

    heard = device.said.heard()
    assert [frame["type"] for frame in heard[:2]] == ["reset", "messages"]
    assert (heard[0]["reason"], heard[0]["pos"]) == ("trimmed", "3-0")
    assert [item["seq"] for item in heard[1]["items"]] == [4, 5]


async def test_a_pull_while_a_push_lags_does_not_stop_the_push(bench: Bench) -> None:
    """The batch that was due while the pull was read goes out afterwards, even when the pull failed."""
    device = await asking(bench, mode=Mode.PUSH, at=5)
    feed = bench.feeds.get(ROOM)
    assert feed is not None
    bench.log.hold = asyncio.Event()
    pulling = asyncio.create_task(device.pull(0))
    await turns()
    device.said.buffered = 10**9
    bench.say(feed)
    device.said.buffered = 0
    bench.hub.settle_full()
    bench.log.problem = StoreUnavailable("redis is away")
    bench.log.hold.set()
    with pytest.raises(StoreUnavailable):
        await pulling

    bench.hub.settle_full()

    assert device.said.ranges() == [(5, 6)]


async def test_an_ack_is_written_with_the_id_it_means(bench: Bench) -> None:
    device = await asking(bench, said=5)
    await device.pull(0, limit=4)

    device.ack(4)
    await device.pull(4)
    device.ack(5)

    assert device.moves.delivered == [log_id(4), log_id(5)]


async def test_an_ack_inside_a_frame_takes_its_id_from_the_tail(bench: Bench) -> None:
    device = await asking(bench, said=5)
    await device.pull(0)

    device.ack(3)

    assert device.moves.delivered == [log_id(3)]


async def test_an_ack_whose_id_is_not_at_hand_is_written_a_little_lower(bench: Bench) -> None:
    device = await asking(bench, 9, said=2)
    await device.pull(0, limit=3)
    await device.pull(3, limit=4)

    device.ack(5)

    assert device.moves.delivered == [log_id(3)]


async def test_a_read_is_written_with_its_id_or_as_a_bare_seq(bench: Bench) -> None:
    device = await asking(bench, said=2)

    await device.read(4)
    await device.read(2)

    assert device.moves.read == [log_id(4), "2"]


async def test_a_read_past_the_head_is_invalid_unless_the_log_has_gone_on(bench: Bench) -> None:
    device = await asking(bench, said=2)
    with pytest.raises(Invalid, match="cursor 6 is past the head 5"):
        await device.read(6)

    bench.log.put(1)
    await device.read(6)

    assert device.moves.read == ["6"]


async def test_a_backlog_that_is_being_read_does_not_refuse_the_device_its_pull(bench: Bench) -> None:
    device = await asking(bench)
    device.place.fetching = True

    await device.pull(0)

    assert device.said.ranges() == [(0, 5)]


async def test_one_who_was_removed_before_this_node_heard_of_it_pulls_nothing_stored_since(bench: Bench) -> None:
    device = await asking(bench)
    bench.log.put(1)
    bench.members.gone = {device.place.device.uid}

    with pytest.raises(NotAMember):
        await device.pull(0)

    assert device.said.frames == []


async def test_a_pull_that_is_answered_while_members_are_checked_is_to_be_tried_again(bench: Bench) -> None:
    device = await asking(bench)
    bench.log.hold = asyncio.Event()
    pulling = asyncio.create_task(device.pull(0))
    await turns()
    feed = bench.feeds.get(ROOM)
    assert feed is not None
    feed.doubted = True
    bench.log.hold.set()

    with pytest.raises(StoreUnavailable, match="pull again"):
        await pulling


async def test_one_that_was_carried_past_the_floor_while_it_pulled_is_not_sent_back(bench: Bench) -> None:
    device = await asking(bench, said=5)
    bench.log.hold = asyncio.Event()
    feed = bench.feeds.get(ROOM)
    assert feed is not None
    feed.tail.shrink(0)
    pulling = asyncio.create_task(device.pull(0))
    await turns()
    device.place.window.hand(5, log_id(5))
    feed.raise_floor(4)
    bench.log.hold.set()
    await pulling

    assert device.said.heard("reset") == []


async def test_one_that_pulls_below_the_floor_is_told_what_is_gone(bench: Bench) -> None:
    device = await asking(bench, said=5)
    device.place.window.hand(5, log_id(5))
    feed = bench.feeds.get(ROOM)
    assert feed is not None
    feed.raise_floor(4)

    await device.pull(1)

    assert [frame["pos"] for frame in device.said.heard("reset")] == ["3-0"]
    assert (device.place.window.acked, device.place.window.sent) == (3, 5)
