"""Faults of Redis itself and of its doorbells."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.faults.fault import Fault
from tests.faults.faults import again_and_again
from tests.faults.history import Crashed
from tests.faults.resp import Swallow
from tests.faults.stage import Stage
from tests.servers import RedisServer

EVERYSEC_S = 2.0
"""What `appendfsync everysec` may cost at most: Redis lets a slow disk hold a write back for so long."""
KILL_S = 0.5
"""What a kill may take, on a busy machine."""


def redis_killed(stage: Stage) -> Fault:
    """SIGKILL of Redis, and a start from its append-only file."""
    redis: RedisServer = stage.redis

    async def begin() -> None:
        await asyncio.to_thread(redis.kill)

    async def end() -> None:
        await asyncio.to_thread(redis.start)

    return Fault(
        name="redis killed",
        begin=begin,
        end=end,
        lasts_s=1,
        heal_within_s=8,
        answers_during=False,
        may_lose_s=EVERYSEC_S,
    )


def redis_paused(stage: Stage, *, for_s: float = 10) -> Fault:
    """SIGSTOP of Redis: connections stay open and nothing is answered. Then SIGCONT."""
    redis: RedisServer = stage.redis

    async def begin() -> None:
        redis.pause()

    async def end() -> None:
        redis.resume()

    return Fault(
        name=f"redis paused for {for_s:g} s", begin=begin, end=end, lasts_s=for_s, heal_within_s=8, answers_during=False
    )


def memory_full(stage: Stage) -> Fault:
    """`maxmemory` is reached: Redis refuses whatever would take more."""
    redis: RedisServer = stage.redis

    async def begin() -> None:
        await asyncio.to_thread(redis.ask, "CONFIG", "SET", "maxmemory", "1mb")

    async def end() -> None:
        await asyncio.to_thread(redis.ask, "CONFIG", "SET", "maxmemory", "0")

    return Fault(name="redis out of memory", begin=begin, end=end, lasts_s=2, heal_within_s=5, answers_during=False)


def disk_full(stage: Stage) -> Fault:
    """The append-only file cannot grow: Redis refuses writes."""
    redis: RedisServer = stage.redis

    async def begin() -> None:
        _limit_files(redis.pid, append_only_file(redis).stat().st_size + 2_000)

    async def end() -> None:
        _limit_files(redis.pid, resource.RLIM_INFINITY)

    return Fault(name="disk full", begin=begin, end=end, lasts_s=3, heal_within_s=5, answers_during=False)


def _limit_files(pid: int, size: int) -> None:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def append_only_file(redis: RedisServer) -> Path:
    """The part of it that grows."""
    return max(redis.directory.glob("appendonlydir/*.incr.aof"))


def crash_now(*, loses_s: float) -> Crashed:
    """To be noted when a Redis ends that may lack what was confirmed in the last `loses_s` seconds."""
    return Crashed(at=time.monotonic(), loses_s=loses_s)


def tail_lost(stage: Stage, *, seconds: float = 0.7) -> Fault:
    """Redis ends and what it was told last is not on its disk: the power failed."""
    redis: RedisServer = stage.redis
    kept: list[int] = []

    async def begin() -> None:
        kept.append(append_only_file(redis).stat().st_size)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(redis.kill)
        os.truncate(append_only_file(redis), kept.pop())

    async def end() -> None:
        await asyncio.to_thread(redis.start)

    return Fault(
        name="tail of the logs lost",
        begin=begin,
        end=end,
        lasts_s=0.3,
        heal_within_s=8,
        answers_during=False,
        may_lose_s=KILL_S,
    )


# ------------------------------------------------------------------------------------------------ doorbells


def bells_cut(stage: Stage) -> Fault:
    """The connections on which nodes hear their doorbells are killed again and again."""
    return again_and_again("pub/sub connections killed", partial(cut_bells, stage), every_s=0.1, heal_within_s=3)


async def cut_bells(stage: Stage) -> None:
    await asyncio.to_thread(stage.redis.ask, "CLIENT", "KILL", "TYPE", "pubsub")


def bells_swallowed(stage: Stage, *, for_s: float = 4) -> Fault:
    """No doorbell and no announcement reaches a node, though its connection and its probe are fine."""

    async def begin() -> None:
        swallow(stage, lambda channel: b"probe:" not in channel)

    async def end() -> None:
        for node in stage.nodes:
            assert node.redis is not None
            node.redis.heal()

    audit_s = float(stage.settings["delivery__audit_interval_s"])
    return Fault(
        name="doorbells swallowed",
        begin=begin,
        end=end,
        lasts_s=for_s,
        heal_within_s=audit_s + 1.5,  # and the ways there and back
        heal_from="begin",
    )


def swallow(stage: Stage, wanted: Callable[[bytes], bool]) -> None:
    """From here on no node hears what is published to channels that are `wanted`."""
    for node in stage.nodes:
        assert node.redis is not None
        node.redis.down.filtering = lambda: Swallow(wanted)
