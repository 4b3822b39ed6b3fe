"""Nodes die, hang and are replaced; the lines to devices and to Redis are bad."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import faults
from tests.faults.conftest import Endure
from tests.faults.load import Load
from tests.faults.stage import Stage
from tests.servers import RedisServer

NODES = [faults.node_killed, faults.node_paused, faults.rolling_restart]
CLIENT_LINES = [
    faults.clients_cut,
    faults.clients_half_closed,
    faults.clients_delayed,
    faults.clients_blocked,
    faults.answers_lost,
]
REDIS_LINES = [faults.append_replies_lost, faults.redis_lines_cut, faults.redis_lines_delayed]


def name_of(fault: faults.Make) -> str:
    return fault.__name__


@pytest.mark.parametrize("fault", NODES, ids=name_of)
async def test_devices_live_on_another_node(
    fault: faults.Make, start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis()) as stage, Load(stage.urls) as load:
        await endure(fault(stage), load)


async def test_devices_live_on_the_worker_that_is_left(
    start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis(), nodes=1, server__workers=3) as stage, Load(stage.urls) as load:
        await endure(faults.workers_killed(stage), load)


@pytest.mark.parametrize("fault", CLIENT_LINES, ids=name_of)
async def test_bad_lines_to_devices_lose_nothing(
    fault: faults.Make, start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis(), nodes=2) as stage, Load(stage.urls) as load:
        await endure(fault(stage), load)
        assert fault is not faults.answers_lost or sum(node.clients.down.lost for node in stage.nodes) > 0


@pytest.mark.parametrize("fault", REDIS_LINES, ids=name_of)
async def test_bad_lines_to_redis_lose_nothing(
    fault: faults.Make, start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    redis = start_redis()
    async with Stage(tmp_path, redis, nodes=2, redis_socket=redis.socket_path) as stage, Load(stage.urls) as load:
        await endure(fault(stage), load)
        lost = sum(node.redis.down.lost for node in stage.nodes if node.redis is not None)
        assert fault is not faults.append_replies_lost or lost > 0
