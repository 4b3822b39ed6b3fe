"""A log that lost its tail, or was made anew: the epoch moves once, and each device hears `reset` before all else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import LogId, Mode
from pushpull.node.feed import Feed
from pushpull.store.values import ReadRequest
from tests.delivery.words import ROOM, Connection, entry, log_id
from tests.node.fakes import Bench, Clock, turns

Make = Callable[..., Bench]


async def served(bench: Bench, count: int = 5, *, mode: Mode | None = None) -> Feed:
    """A feed over a log of `count` messages, and a device that has them all."""
    bench.log.put(2)
    feed = await bench.open()
    bench.attach(feed, mode=mode)
    bench.say(feed, count - 2)
    await turns()
    for frame in bench.said[0].frames:
        assert b"reset" not in frame
    return feed


def lose_tail(bench: Bench, *, kept: int, new: int = 0) -> None:
    """A failover: the log ends at `kept`, then others write `new` messages."""
    there = bench.log.entries[ROOM]
    del there[kept:]
    there.extend(entry(seq, digest=1) for seq in range(kept + 1, kept + new + 1))
    bench.log.common = log_id(kept)


def story(said: Connection, first: int = 0) -> list[tuple[str, object]]:
    """What a device heard, from the `first` frame on: (type, pos) of resets, (type, (after, upto)) of messages."""
    heard = said.heard()[first:]
    return [(frame["type"], frame.get("pos") or (frame.get("after"), frame.get("upto"))) for frame in heard]


async def test_a_device_hears_reset_before_anything_of_the_log_as_it_is_now(bench: Bench) -> None:
    feed = await served(bench)
    before = len(bench.said[0].frames)
    lose_tail(bench, kept=3, new=1)

    bench.reader.mark_stale(feed)
    await turns()

    assert story(bench.said[0], before) == [("reset", log_id(3)), ("messages", (3, 4))]
    reset = bench.said[0].heard("reset")[0]
    assert (reset["reason"], reset["epoch"]) == ("diverged", "2")
    assert bench.said[0].heard("messages")[-1]["items"][0]["id"] == log_id(4, digest=1)
    assert (feed.held, feed.head.epoch) == (False, "2")


async def test_while_the_epoch_cannot_be_moved_nothing_goes_out(bench: Bench) -> None:
    feed = await served(bench)
    before = len(bench.said[0].frames)
    lose_tail(bench, kept=3, new=1)
    moving = asyncio.Event()
    move = bench.log.move_epoch

    async def held(cid: object, expected: str) -> str:
        await moving.wait()
        return await move(ROOM, expected)

    bench.log.move_epoch = held  # type: ignore[method-assign,assignment]
    bench.reader.mark_stale(feed)
    await turns()
    bench.log.put(1, digest=1)
    bench.ring(bench.log.entries[ROOM][-1:], feed)
    await turns()
    assert feed.held
    assert len(bench.said[0].frames) == before

    moving.set()
    await turns()

    assert story(bench.said[0], before) == [("reset", log_id(3)), ("messages", (3, 5))]


async def test_the_epoch_is_asked_for_until_redis_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = await served(bench)
    lose_tail(bench, kept=3)
    tries = 0
    move = bench.log.move_epoch

    async def flaky(cid: object, expected: str) -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise StoreUnavailable("redis is away")
        return await move(ROOM, expected)

    monkeypatch.setattr(bench.log, "move_epoch", flaky)
    bench.reader.mark_stale(feed)
    await turns(40)

    assert (tries, feed.head.epoch, feed.held) == (3, "2", False)


async def test_an_epoch_that_another_node_moved_is_not_moved_again(bench: Bench) -> None:
    feed = await served(bench)
    lose_tail(bench, kept=3, new=1)
    bench.log.meta[ROOM] = {"epoch": "2"}

    bench.reader.mark_stale(feed)
    await turns()

    assert (bench.log.head().epoch, feed.head.epoch, bench.log.epochs) == ("2", "2", ["1"])
    assert bench.said[0].heard("reset")[0]["epoch"] == "2"


async def test_a_device_that_stands_below_the_loss_stays_and_is_told_for_what_it_sent(bench: Bench) -> None:
    feed = await served(bench)
    bench.attach(feed, at=2, mode=Mode.NOTIFY)
    lose_tail(bench, kept=3, new=1)

    bench.reader.mark_stale(feed)
    await turns()

    (reset,) = bench.said[1].heard("reset")
    assert (reset["reason"], reset["pos"], reset["epoch"]) == ("diverged", log_id(2), "2")
    assert bench.places[1].window.sent == 2
    assert bench.said[1].heard("notice")[-1]["head"] == 4


async def test_a_notified_device_is_reset_and_told_of_the_head(bench: Bench, clock: Clock) -> None:
    bench.log.meta[ROOM] = {"members": 1_000}
    feed = await served(bench)
    lose_tail(bench, kept=3, new=2)

    bench.reader.mark_stale(feed)
    await clock.advance(1.0)

    place = bench.places[0]
    assert bench.said[0].heard("reset")[0]["pos"] == log_id(3)
    assert bench.said[0].heard()[-1]["type"] == "messages"
    assert (bench.said[0].ranges()[-1], place.window.sent) == ((3, 5), 5)


async def test_a_notified_device_is_rung_for_what_the_node_has_read(bench: Bench, clock: Clock) -> None:
    """The head of a log that diverged is known before its entries are: a pull for them would bring nothing."""
    bench.log.meta[ROOM] = {"members": 1_000}
    feed = await served(bench)
    lose_tail(bench, kept=3, new=2)
    read = asyncio.Event()
    read_many = bench.log.read_many

    async def slowly(requests: Sequence[ReadRequest]) -> Sequence[Any]:
        if requests[0].anchor == log_id(3):
            await read.wait()
        return await read_many(requests)

    bench.log.read_many = slowly  # type: ignore[method-assign]
    bench.reader.mark_stale(feed)
    await clock.advance(1.0)
    assert (feed.held, feed.head.seq, bench.said[0].heard()[-1]["type"]) == (False, 5, "reset")
    nothing_yet, _ = feed.cut(3, limit=100, told=True) or (None, b"")
    assert nothing_yet is not None
    assert nothing_yet.upto == 3

    read.set()
    await clock.advance(1.0)

    assert bench.said[0].ranges()[-1] == (3, 5)
    page, _ = feed.cut(3, limit=100, told=True) or (None, b"")
    assert page is not None
    assert page.upto == 5


async def test_one_who_left_before_the_reset_hears_none_of_it(bench: Bench) -> None:
    feed = await served(bench)
    before = len(bench.said[0].frames)
    lose_tail(bench, kept=3, new=1)
    bench.reader.mark_stale(feed)
    await turns(2)

    bench.peers.of(bench.places[0].device.uid)[0].leave(ROOM, "left")
    await turns()

    assert len(bench.said[0].frames) == before


async def test_a_log_made_anew_throws_all_away(bench: Bench) -> None:
    feed = await served(bench)
    before = len(bench.said[0].frames)
    bench.log.entries[ROOM] = [entry(1, digest=1)]
    bench.log.meta[ROOM] = {"epoch": "9"}
    bench.log.common = LogId("0-0")

    bench.reader.mark_stale(feed)
    await turns()

    assert story(bench.said[0], before) == [("reset", "0-0"), ("messages", (0, 1))]
    reset = bench.said[0].heard("reset")[0]
    assert (reset["reason"], reset["epoch"], bench.log.epochs) == ("epoch", "9", [])


async def test_what_was_outstanding_of_the_lost_tail_is_waited_for_no_more(bench: Bench) -> None:
    feed = await served(bench)
    lose_tail(bench, kept=3)

    bench.reader.mark_stale(feed)
    await turns()

    assert (bench.places[0].window.outstanding, len(bench.hub.windows)) == (0, 0)
    bench.say(feed, 1, digest=1)
    assert bench.said[0].ranges()[-1] == (3, 4)


async def test_resets_are_counted_by_their_reason(bench: Bench) -> None:
    feed = await served(bench)
    lose_tail(bench, kept=3)
    bench.reader.mark_stale(feed)
    await turns()

    assert bench.metrics.registry.get_sample_value("pushpull_resets_total", {"reason": "diverged"}) == 1
