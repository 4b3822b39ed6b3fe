"""Nodes of two releases share one Redis, and one after the other is replaced, forward and back."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.faults import release
from tests.faults.conftest import Endure
from tests.faults.fault import Fault
from tests.faults.faults import replace_node
from tests.faults.load import Load
from tests.faults.stage import Stage, StageNode
from tests.servers import RedisServer

pytestmark = pytest.mark.skipif(release.missing() is not None, reason=release.missing() or "")

SETTLE_S = 0.3
"""Two releases serve side by side for so long between two replacements."""


async def test_nodes_of_two_releases_serve_side_by_side(
    start_redis: Callable[..., RedisServer], tmp_path: Path, endure: Endure
) -> None:
    earlier = release.environ_of_earlier(tmp_path / "earlier")
    async with Stage(tmp_path, start_redis(), environ=earlier) as stage, Load(stage.urls) as load:
        await endure(rolling_upgrade(stage, earlier), load)
        found = {await asyncio.to_thread(_package_of, node) for node in stage.nodes}
        assert found == {tmp_path / "earlier", release.ROOT}


def rolling_upgrade(stage: Stage, earlier: Mapping[str, str]) -> Fault:
    """Every node becomes one of this release, and the last of them one of the earlier release again."""
    this = {name: os.environ.get(name, "") for name in earlier}

    async def begin() -> None:
        for node, environ in [*((node, this) for node in stage.nodes), (stage.nodes[-1], dict(earlier))]:
            node.process.environ |= environ
            await asyncio.to_thread(replace_node, node)
            await asyncio.sleep(SETTLE_S)

    return Fault(name="rolling upgrade, one node back", begin=begin, lasts_s=0.1, heal_within_s=5)


def _package_of(node: StageNode) -> Path:
    """Where a process with the node's environment has its package from."""
    look = [sys.executable, "-c", "import pushpull; print(pushpull.__file__)"]
    told = subprocess.run(look, env=node.process.environ, cwd="/", capture_output=True, check=True, text=True).stdout
    return Path(told.strip()).parents[1]
