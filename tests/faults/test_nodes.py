"""Nodes die, hang and are replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults import faults
from tests.faults.conftest import Endure
from tests.faults.load import Load
from tests.faults.stage import Stage
from tests.servers import RedisServer


@pytest.mark.parametrize("fault", [faults.node_killed, faults.node_paused], ids=lambda fault: fault.__name__)
async def test_devices_live_on_another_node(
    fault: faults.Make, start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    async with Stage(tmp_path, start_redis()) as stage, Load(stage.urls) as load:
        await endure(fault(stage), load)
