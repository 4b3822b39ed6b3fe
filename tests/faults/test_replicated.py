"""`redis.durability = "replicated"`: a failover under load loses nothing that was confirmed.

`PUSHPULL_FAILOVER_RUNS=20` makes so many failovers of each kind, one after the other on the same servers; without it
there is one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import Endure
from tests.faults.failovers import primary_lost, shard_lost
from tests.faults.load import Load
from tests.faults.stage import Stage
from tests.servers import RedisCluster, SentinelSetup

RUNS = int(os.environ.get("PUSHPULL_FAILOVER_RUNS", "1"))
A_RUN_S = 120

Make = Callable[[Stage], Any]


@pytest.mark.timeout(A_RUN_S * RUNS)
async def test_a_failover_of_a_shard_loses_nothing(
    start_cluster: Callable[..., RedisCluster], tmp_path: Path, endure: Endure
) -> None:
    await _run(start_cluster(replicas=1), tmp_path, endure, lambda stage: shard_lost(stage, "killed", replicated=True))


@pytest.mark.timeout(A_RUN_S * RUNS)
async def test_a_failover_under_sentinels_loses_nothing(
    start_sentinel: Callable[..., SentinelSetup], tmp_path: Path, endure: Endure
) -> None:
    await _run(start_sentinel(), tmp_path, endure, lambda stage: primary_lost(stage, "killed", replicated=True))


async def _run(redis: RedisCluster | SentinelSetup, directory: Path, endure: Endure, fault: Make) -> None:
    async with Stage(directory, redis, redis__durability="replicated", redis__replicas=1) as stage:
        for run in range(RUNS):
            # Replicas are waited for by messages alone: a change of members in the last moments may be lost.
            async with Load(stage.urls, tag=f"r{run}-", comers=0) as load:
                await endure(fault(stage), load)
            await asyncio.to_thread(redis.wait_ready)
