"""Doorbells that do not ring: cut with their connections, or swallowed on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from pushpull.model import Cid, Uid
from tests.faults import redis_faults
from tests.faults.conftest import Endure
from tests.faults.fault import Fault, judged
from tests.faults.load import Load
from tests.faults.results import Result
from tests.faults.stage import Stage
from tests.servers import RedisServer

StartRedis = Callable[..., RedisServer]
NoteResult = Callable[[Result], None]

AUDIT_S = 2.0
NO_AUDIT_S = 3_600
HEAL_S = AUDIT_S + 1.5
"""By the audit: and the ways there and back."""

AT_ONCE_S = 1.0
"""After a resubscribe: the new connection, the confirmations, one read of each log."""


@asynccontextmanager
async def behind_proxies(redis: RedisServer, directory: Path, audit_s: float) -> AsyncIterator[tuple[Stage, Load]]:
    stage = Stage(directory, redis, nodes=2, redis_socket=redis.socket_path, delivery__audit_interval_s=audit_s)
    async with stage, Load(stage.urls) as load:
        yield stage, load


async def test_connections_killed_again_and_again_lose_nothing(
    start_redis: StartRedis, tmp_path: Path, endure: Endure
) -> None:
    async with behind_proxies(start_redis(), tmp_path, NO_AUDIT_S) as (stage, load):
        await endure(redis_faults.bells_cut(stage), load)


async def test_swallowed_bells_are_healed_by_the_audit(start_redis: StartRedis, tmp_path: Path, endure: Endure) -> None:
    async with behind_proxies(start_redis(), tmp_path, AUDIT_S) as (stage, load):
        await endure(redis_faults.bells_swallowed(stage), load)


async def test_a_resubscribe_heals_swallowed_bells_at_once(
    start_redis: StartRedis, tmp_path: Path, note_result: NoteResult
) -> None:
    """No bell follows the swallowed ones, and the audit is far away: only the new subscriptions can tell."""
    async with behind_proxies(start_redis(), tmp_path, NO_AUDIT_S) as (stage, load):
        await asyncio.sleep(1)
        redis_faults.swallow(stage, lambda channel: channel.endswith(b":bell"))
        await asyncio.sleep(1)
        await load.fall_silent()
        logs = await load.logs()
        assert load.lacking(logs), "every device has it all: no bell was swallowed"

        for node in stage.nodes:
            assert node.redis is not None
            node.redis.heal()
        since = time.monotonic()
        await redis_faults.cut_bells(stage)
        await load.until(lambda: load.lacking(logs), AT_ONCE_S, "healing")
        heal_s = time.monotonic() - since

        fault = Fault(name="doorbells swallowed, then resubscribed", begin=_done, heal_within_s=AT_ONCE_S)
        note_result(await judged(fault, load, heal_s=heal_s))


async def _done() -> None:
    pass


async def test_who_was_removed_gets_nothing_more_though_every_word_of_it_was_swallowed(
    start_redis: StartRedis, tmp_path: Path, note_result: NoteResult
) -> None:
    async with behind_proxies(start_redis(), tmp_path, AUDIT_S) as (stage, load):
        await asyncio.sleep(1)
        async with load.nobody_moves():
            redis_faults.swallow(stage, lambda channel: b"probe:" not in channel)
            out = [(device.uid, cid) for device in load.comers for cid in load.cids if device.uid in load.members[cid]]
            assert len(out) > 5
            for uid, cid in out:
                await load.move(uid, cid)
            since = time.monotonic()
            await load.healed(since, within_s=HEAL_S)
            await load.until(lambda: _still_in(load, out), HEAL_S, "telling those who were removed")
            heal_s = time.monotonic() - since
        await load.fall_silent()  # before anybody joins again

        fault = Fault(name="removed, every word of it swallowed", begin=_done, heal_within_s=HEAL_S)
        note_result(await judged(fault, load, heal_s=heal_s))


def _still_in(load: Load, out: list[tuple[Uid, Cid]]) -> list[str]:
    return [
        f"{device.name} shows {cid}"
        for device in load.comers
        for uid, cid in out
        if uid == device.uid and cid in device.seqs
    ]
