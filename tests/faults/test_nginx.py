"""The nodes behind a load balancer are replaced, and nobody who talks through it loses anything."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.faults import faults
from tests.faults.conftest import Endure
from tests.faults.load import Load
from tests.faults.stage import Stage
from tests.servers import Nginx, RedisServer


async def test_a_rolling_restart_behind_nginx_loses_nothing(
    start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis(), nodes=2) as stage:
        nginx = Nginx(tmp_path, [node.process.port for node in stage.nodes])
        nginx.start()
        try:
            async with Load([nginx.url]) as load:
                fault = replace(faults.rolling_restart(stage), name="rolling restart behind nginx")
                await endure(fault, load)
        finally:
            nginx.stop()

        passed = [json.loads(line) for line in nginx.log.splitlines()]
        upgrades = [line["status"] for line in passed if line["path"] == "/v1/ws"]
        sends = [line["status"] for line in passed if line["path"].endswith("/messages") and line["method"] == "POST"]
        assert upgrades.count(101) > len(load.everybody), "devices came again"
        # 499: a device that was stopped at the end of the load, and did not wait for its answer.
        assert set(upgrades) <= {101, 499}, "and none of them was turned away"
        assert set(sends) <= {200, 201, 499}
