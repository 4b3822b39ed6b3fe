"""Clocks that jump, by an hour, under load: nothing depends on the time of day."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pushpull.model import ts_of
from tests.faults import clock_faults
from tests.faults.clock import Clock, missing
from tests.faults.conftest import Endure
from tests.faults.load import Load
from tests.faults.stage import Stage
from tests.servers import RedisServer, wait_until

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")


def test_a_clock_is_turned_while_its_redis_runs(start_redis: Callable[..., RedisServer], tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    redis = start_redis(environ=clock.environ)
    for by_s in (0, -clock_faults.HOUR_S, clock_faults.HOUR_S):
        clock.set(by_s)
        wait_until(lambda: abs(_time(redis) - time.time() - by_s) < 10, f"{by_s} s ahead", within_s=1)  # noqa: B023


def _time(redis: RedisServer) -> int:
    return int(redis.ask("EVAL", "return redis.call('TIME')[1]", "0"))


def test_a_clock_turns_the_time_of_day_alone(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    clock.set(-clock_faults.HOUR_S)
    look = "import time; print(time.time(), time.monotonic())"
    told = subprocess.run([sys.executable, "-c", look], env=clock.environ, capture_output=True, check=True).stdout
    behind_s = [
        ours - float(theirs) for ours, theirs in zip((time.time(), time.monotonic()), told.split(), strict=True)
    ]
    assert behind_s == [pytest.approx(clock_faults.HOUR_S, abs=10), pytest.approx(0, abs=10)]


@pytest.mark.parametrize("by_s", [-clock_faults.HOUR_S, clock_faults.HOUR_S], ids=["back", "forward"])
async def test_the_clock_of_redis_jumps(
    by_s: int, start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    clock = Clock(tmp_path / "clock")
    redis = start_redis(environ=clock.environ)
    async with Stage(tmp_path, redis) as stage, Load(stage.urls) as load:
        await endure(clock_faults.redis_clock_jumps(stage, clock, by_s=by_s), load)
        for log in (await load.logs()).values():
            times = [ts_of(entry.id) for entry in log]
            assert times == sorted(times)


async def test_the_clocks_of_nodes_jump_apart(
    start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis(), clocks=True) as stage, Load(stage.urls) as load:
        await endure(clock_faults.node_clocks_jump(stage), load)
