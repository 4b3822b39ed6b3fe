"""However ways of being served change, and whenever: each device gets every message, once, in order.

Devices that keep the client's rule, over the real hub: settings, members, policy, focus, load and buffers change at
random between messages, acks and rounds.
"""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pushpull.delivery.place import Place
from pushpull.delivery.policy import Focus, Way
from pushpull.model import ConversationSettings, Mode
from pushpull.node import backlog, fan_out, redeliveries, rounds, ways
from pushpull.node.feed import Feed
from pushpull.settings import Delivery
from tests.delivery.words import ROOM, Connection
from tests.node.fakes import Bench, Clock, turns

DEVICES = 4
POLICY: dict[str, Any] = {"inline_max_bytes": 200, "max_ack_pending": 8, "ack_wait_ms": 60_000}


class Device:
    """Keeps the rule of receiving; whatever comes must begin where it stands."""

    def __init__(self, bench: Bench, feed: Feed, place: Place, connection: Connection) -> None:
        self.bench, self.feed, self.place, self.connection = bench, feed, place, connection
        self.at = 0
        self.head = 0
        self.read = 0  # frames looked at

    def takes(self) -> None:
        while self.read < len(self.connection.frames):
            frame = json.loads(self.connection.frames[self.read])
            self.read += 1
            if frame["type"] == "messages":
                assert frame["after"] == self.at, f"{frame['after']} to {frame['upto']} came to one at {self.at}"
                assert [item["seq"] for item in frame["items"]] == list(range(self.at + 1, frame["upto"] + 1))
                self.at = frame["upto"]
            elif frame["type"] == "notice":
                self.head = max(self.head, frame["head"])

    def pulls(self) -> None:
        """Comes for what it was told of, where it has it on its screen."""
        self.takes()
        if self.place.mode is Mode.NOTIFY and self.place.focus is not Focus.ELSEWHERE and self.at < self.head:
            page = self.feed.tail.page(self.at, limit=5, max_bytes=10_000)
            assert page is not None
            self.connection.write(self.feed.frame(page))
            self.bench.hub.pulled(self.feed, self.place, page)
            self.takes()

    def acks(self) -> None:
        self.takes()
        self.bench.ack(self.place, self.at, now=self.bench_now())

    def bench_now(self) -> float:
        return ways.time.monotonic()


class Room:
    def __init__(self, clock: Clock, chance: random.Random) -> None:
        self.clock, self.chance = clock, chance
        self.bench = Bench(delivery=POLICY, limits={"buffer_bytes": 1024})
        self.bench.log.meta[ROOM] = {"members": 10}
        self.mver = 1
        self.devices: list[Device] = []

    async def open(self) -> None:
        self.feed = await self.bench.open()
        for number in range(DEVICES):
            place = self.bench.attach(self.feed)
            self.devices.append(Device(self.bench, self.feed, place, self.bench.said[number]))

    # ------------------------------------------------------------------------------------------------ what happens

    async def say(self) -> None:
        self.bench.say(self.feed, self.chance.randint(1, 6))

    async def pass_time(self) -> None:
        await self.clock.advance(self.chance.choice([0.01, 0.1, 0.3, 2.5]))
        self.bench.hub.settle_full()

    async def look_at_load(self) -> None:
        await self.bench.hub.ways.look(self.chance.random(), over_s=self.chance.choice([1.0, 20.0]))

    async def change_the_conversation(self) -> None:
        own = ConversationSettings(
            mode=self.chance.choice(["auto", "auto", "push", "notify"]),
            push_window_ms=self.chance.choice([None, None, 300]),
        )
        self.mver += 1
        members = self.chance.choice([10, 10_000])
        self.bench.log.meta[ROOM] = {"members": members, "settings": own, "mver": self.mver}
        self.bench.reader.mark_stale(self.feed)
        await turns(self.chance.choice([0, 20]))

    async def change_the_policy(self) -> None:
        limit, per_s = self.chance.choice([5, 200, 20_000]), self.chance.choice([1.0, 400.0])
        self.bench.settings.delivery = Delivery(**POLICY, push_max_members=limit, push_max_per_s=per_s)
        await self.bench.hub.ways.judge_all()

    async def look(self) -> None:
        device = self.chance.choice(self.devices)
        device.place.focus = self.chance.choice(list(Focus))
        self.bench.hub.looked(device.place)

    async def fill_or_drain(self) -> None:
        self.chance.choice(self.devices).connection.buffered = self.chance.choice([0, 0, 500, 2_000])

    async def pull(self) -> None:
        self.chance.choice(self.devices).pulls()

    async def ack(self) -> None:
        self.chance.choice(self.devices).acks()

    # ------------------------------------------------------------------------------------------------ the end

    async def come_to_rest(self) -> None:
        """Everybody looks, nobody's buffer is full: all must arrive."""
        for device in self.devices:
            device.connection.buffered = 0
            device.place.focus = Focus.HERE
            self.bench.hub.looked(device.place)
        for _ in range(200):
            await self.clock.advance(0.5)
            self.bench.hub.settle_full()
            for device in self.devices:
                device.pulls()
                device.acks()
            if all(device.at == self.feed.tail.head for device in self.devices):
                return
        raise AssertionError(f"the head is {self.feed.tail.head}, devices are at {[d.at for d in self.devices]}")


STEPS = [
    *(["say"] * 4),
    *(["pass_time"] * 3),
    *(["ack"] * 4),
    *(["pull"] * 2),
    "look",
    "look",
    "look_at_load",
    "change_the_conversation",
    "change_the_policy",
    "fill_or_drain",
]


async def live_through(steps: list[str], seed: int, clock: Clock) -> Room:
    room = Room(clock, random.Random(seed))
    await room.open()
    try:
        for step in steps:
            await getattr(room, step)()
            for device in room.devices:
                device.takes()
        await room.come_to_rest()
        assert [device.connection.closed for device in room.devices] == [None] * DEVICES
    finally:
        await room.bench.stop()
    return room


def patched(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (backlog, fan_out, redeliveries, rounds, ways):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(rounds, "asyncio", clock)
    return clock


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=60), seed=st.integers(0, 2**32))
def test_nothing_is_lost_repeated_or_out_of_order_however_ways_change(steps: list[str], seed: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        asyncio.run(live_through(steps, seed, patched(monkeypatch)))


def test_a_long_life_meets_every_way_many_times(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, chance, met = patched(monkeypatch), random.Random(7), dict.fromkeys(Way, 0)
    count = ways.Ways._set

    def counted(self: Any, feed: Feed, place: Place, way: Way) -> None:
        met[way] += 1
        count(self, feed, place, way)

    monkeypatch.setattr(ways.Ways, "_set", counted)

    asyncio.run(live_through(chance.choices(STEPS, k=2_000), 7, clock))

    assert all(times > 50 for times in met.values()), met
