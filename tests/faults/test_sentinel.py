"""A primary under sentinels is lost, killed or hung; the hung one comes back and believes that it still is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from tests.faults.conftest import Endure
from tests.faults.failovers import How, primary_lost
from tests.faults.load import Load
from tests.faults.stage import Stage
from tests.servers import SentinelSetup


@pytest.mark.parametrize("how", get_args(How))
async def test_a_primary_is_lost(
    how: How, start_sentinel: Callable[..., SentinelSetup], tmp_path: Path, endure: Endure
) -> None:
    setup = start_sentinel(replicas=2)
    async with Stage(tmp_path, setup) as stage, Load(stage.urls) as load:
        await endure(primary_lost(stage, how), load)
