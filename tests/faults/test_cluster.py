"""A primary of a 3+3 cluster is lost: its conversations go on within seconds, those of other shards do not notice."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

from pushpull.model import Cid
from tests.faults.conftest import Endure, Note
from tests.faults.failovers import AGAIN_S, How, shard_lost
from tests.faults.load import Load
from tests.faults.pulse import Pulse
from tests.faults.stage import Stage
from tests.servers import RedisCluster

UNNOTICED_S = 1.0
"""No send to another shard's conversation takes longer, neither to its answer nor to another device."""
BEATS_MIN = 30
"""Fewer messages to a conversation in these seconds, and nobody would have noticed anything."""
A_SHARD = 2

StartCluster = Callable[..., RedisCluster]


@pytest.mark.parametrize("how", get_args(How))
async def test_a_primary_of_a_shard_is_lost(
    how: How, start_cluster: StartCluster, tmp_path: Path, endure: Endure, note_figures: Note
) -> None:
    cluster = start_cluster(replicas=1)
    theirs, others = conversations(cluster)
    pulse = Pulse([], [*theirs, *others])
    async with Stage(tmp_path, cluster) as stage, Load(stage.urls) as load:
        pulse.urls = stage.urls
        fault = shard_lost(stage, how, key=log_of(theirs[0]))
        lost_at: list[float] = []

        async def begin() -> None:
            lost_at.append(time.monotonic())
            await fault.begin()

        async with pulse.beating():
            await endure(replace(fault, begin=begin), load)
        again_s = pulse.again_s(theirs, lost_at[0])
        answered_s, heard_s = pulse.worst_s(others, lost_at[0])
        note_figures(
            f"{fault.name}: sends to its conversations answered again after {again_s:.1f} s; to those of other shards "
            f"within {answered_s:.2f} s, heard within {heard_s:.2f} s"
        )
        assert pulse.beats(others, lost_at[0]) > BEATS_MIN
        assert again_s <= AGAIN_S
        assert max(answered_s, heard_s) < UNNOTICED_S


def conversations(cluster: RedisCluster) -> tuple[list[Cid], list[Cid]]:
    """A_SHARD conversations of one shard, and as many of each of the others."""
    shards: dict[int, list[Cid]] = {server.port: [] for server in cluster.primaries()}
    for number in itertools.count():
        cid = Cid(f"pulse-{number}")
        mine = shards[cluster.primary_of(log_of(cid)).port]
        if len(mine) < A_SHARD:
            mine.append(cid)
        if all(len(each) == A_SHARD for each in shards.values()):
            first, *others = shards.values()
            return first, [cid for each in others for cid in each]
    raise AssertionError


def log_of(cid: Cid) -> str:
    return f"{{c:{cid}}}:log"
