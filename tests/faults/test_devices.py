"""Devices that misbehave, among devices that do not; and acks that come too late."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from pathlib import Path

from pushpull.model import Uid, seq_of
from tests.e2e.service import Service
from tests.faults import redis_faults
from tests.faults.bad_devices import acks_wrongly, company, flaps, living, never_acks
from tests.faults.fault import Fault, judged
from tests.faults.load import Load
from tests.faults.results import Result
from tests.faults.stage import Stage
from tests.servers import RedisServer

StartRedis = Callable[..., RedisServer]
NoteResult = Callable[[Result], None]

BAD = 24
UNNOTICED_S = 1.0
"""A message is on every good device so soon, gathered pushes and notices included, whatever the bad ones do."""


async def test_good_devices_notice_nothing_of_bad_ones(
    start_redis: StartRedis, tmp_path: Path, note_result: NoteResult
) -> None:
    settings = {"delivery__ack_wait_ms": 300, "delivery__backoff": 1, "delivery__max_deliver": 3}
    async with Stage(tmp_path, start_redis(), nodes=2, **settings) as stage:
        bad = company(stage.urls, BAD)
        async with Load(stage.urls, guests=[device.uid for device in bad], body_bytes=2_000) as load:
            async with living(bad):
                await asyncio.sleep(3)
                slowest = max([await load.arrival_s() for _ in range(5)])

            fault = Fault(name="devices that misbehave", begin=_done, heal_within_s=UNNOTICED_S)
            result = await judged(fault, load, heal_s=slowest)
            note_result(result)
            assert slowest <= UNNOTICED_S

            for device in bad:
                delivered = {row.cid: row.delivered for row in await load.rows(device.uid)}
                kind = device.behaviour
                assert device.connections > (5 if kind is flaps else 0)
                if kind is never_acks:
                    assert set(delivered.values()) == {0}
                    assert device.connections > 1, "it was never closed for want of acks"
                if kind is acks_wrongly:
                    assert all(at <= device.heard.get(cid, 0) for cid, at in delivered.items())


async def test_late_acks_of_a_lost_tail_are_not_taken_for_acks_of_what_stands_there_now(
    start_redis: StartRedis, tmp_path: Path, note_result: NoteResult
) -> None:
    redis = start_redis()
    async with Stage(tmp_path, redis, nodes=2) as stage, Load(stage.urls, guests=[Uid("late")]) as load:
        cid, numbers = load.cids[0], itertools.count()
        sender = min(device.uid for device in load.of(cid) if device in load.devices)

        async def post(count: int) -> int:
            for _ in range(count):
                sent = await load.backend.send(load.diary, cid, sender, f"late-{next(numbers)}")
                assert sent is not None
            return seq_of(sent.id)

        await asyncio.sleep(1)
        await load.fall_silent()
        late = await Service(stage.urls[0]).device("late", unnamed="delivered")
        kept = await post(1)
        await late.collect(cid, kept)
        await asyncio.sleep(1)  # the cursor is written
        size = redis_faults.append_only_file(redis).stat().st_size
        head = await post(6)
        await late.collect(cid, head, ack=False, after=kept)
        load.diary.note(redis_faults.crash_now(loses_s=2.0))
        redis.kill()
        os.truncate(redis_faults.append_only_file(redis), size)
        await late.say("ack", acks={cid: head})
        redis.start()
        for _ in range(10):
            await late.say("ack", acks={cid: head})
            await asyncio.sleep(0.1)
        new = await post(3)
        await asyncio.sleep(1)

        (delivered,) = [row.delivered for row in await load.rows(Uid("late")) if row.cid == cid]
        assert kept < new < head
        assert delivered == kept
        await late.leave()
        fault = Fault(name="late acks of a lost tail", begin=_done)
        note_result(await judged(fault, load, heal_s=0.0))


async def _done() -> None:
    pass
