"""Redis dies, hangs, is full, and comes back with less than it had."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from tests.e2e.service import API_KEY
from tests.faults import redis_faults
from tests.faults.conftest import Endure
from tests.faults.fault import Fault
from tests.faults.faults import Make
from tests.faults.load import Load
from tests.faults.stage import Stage
from tests.servers import RedisServer

StartRedis = Callable[..., RedisServer]


@pytest.mark.parametrize(
    "fault", [redis_faults.redis_killed, redis_faults.redis_paused], ids=lambda make: make.__name__
)
async def test_a_redis_that_comes_back_loses_no_more_than_its_file_did(
    fault: Make, start_redis: StartRedis, tmp_path: Path, endure: Endure
) -> None:
    redis = start_redis(appendfsync="everysec")
    async with Stage(tmp_path, redis, nodes=2) as stage, Load(stage.urls) as load:
        await endure(fault(stage), load)


async def test_a_killed_redis_that_syncs_each_write_loses_nothing(
    start_redis: StartRedis, tmp_path: Path, endure: Endure
) -> None:
    redis = start_redis(appendfsync="always")
    async with Stage(tmp_path, redis, nodes=2, redis__durability="fsync") as stage, Load(stage.urls) as load:
        fault = replace(redis_faults.redis_killed(stage), name="redis killed, appendfsync always", may_lose_s=0.0)
        await endure(fault, load)


async def test_who_shows_the_lost_tail_of_a_log_is_told_to_go_back(
    start_redis: StartRedis, tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis(), nodes=2) as stage, Load(stage.urls) as load:
        await endure(redis_faults.tail_lost(stage), load)


@pytest.mark.parametrize(
    ("fault", "said"),
    [(redis_faults.memory_full, "out of memory (OOM)"), (redis_faults.disk_full, "cannot write to its disk (MISCONF)")],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_a_full_redis_refuses_in_clear_words_and_loses_nothing(
    fault: Make, said: str, start_redis: StartRedis, tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis(appendfsync="everysec"), nodes=2) as stage, Load(stage.urls) as load:
        await endure(_refusing(fault(stage), stage, load, said), load)


def _refusing(fault: Fault, stage: Stage, load: Load, said: str) -> Fault:
    """`fault`, and before it ends: every node says what is wrong, to who sends and to who asks whether it is ready."""

    async def end() -> None:
        async with httpx2.AsyncClient(headers={"X-API-Key": API_KEY}, trust_env=False) as client:
            for url in stage.urls:
                send = {"cmid": "refused", "body": "x"}
                refused = await client.post(f"{url}/v1/conversations/{load.cids[0]}/messages", json=send)
                ready = await client.get(f"{url}/readyz")
                assert (refused.status_code, refused.json()["code"]) == (503, "store_unavailable")
                assert said in refused.json()["detail"]
                assert ready.status_code == 503
                assert said in ready.text
        await fault.end()

    return replace(fault, end=end)
