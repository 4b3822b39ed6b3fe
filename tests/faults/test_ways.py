"""A thousand changes of how conversations are delivered, under load: not a fault, and nobody may notice.

Conversations change their own settings, the policy changes on all nodes, devices look here and there; the judge of the
fault tests goes through what every device showed.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pushpull.client import AsyncServer
from pushpull.model import Cid
from tests.e2e.service import API_KEY
from tests.faults.device import Device
from tests.faults.load import Load
from tests.faults.results import Result
from tests.faults.stage import Stage
from tests.servers import RedisServer

CHANGES = 1_000
LANES = 4
MODES: tuple[dict[str, Any], ...] = (
    {"mode": "auto", "push_window_ms": None},
    {"mode": "push", "push_window_ms": None},
    {"mode": "push", "push_window_ms": 50},
    {"mode": "notify", "push_window_ms": None},
)
POLICIES: tuple[dict[str, Any], ...] = (
    {"push_max_members": 1, "push_max_per_s": 400},
    {"push_max_members": 200, "push_max_per_s": 1},
    {"push_max_members": None, "push_max_per_s": None},
    {"notify_interval_ms": 50, "push_window_ms": 20, "inline_max_bytes": 0},
    {"notify_interval_ms": None, "push_window_ms": None, "inline_max_bytes": None},
)


class Changing:
    """Changes of settings, policy and looks, at random, until there were enough."""

    def __init__(self, load: Load, server: AsyncServer) -> None:
        self._load = load
        self._server = server
        self._modes: dict[Cid, Any] = {}
        self.made: Counter[str] = Counter()

    async def run(self) -> None:
        await asyncio.gather(*(self._lane(cids) for cids in self._lanes()), self._policies(), self._looks())

    def _lanes(self) -> list[list[Cid]]:
        return [self._load.cids[lane::LANES] for lane in range(LANES)]

    async def _lane(self, cids: list[Cid]) -> None:
        for cid in itertools.cycle(cids):
            if self.made["mode"] >= CHANGES:
                return
            settings = random.choice([mode for mode in MODES if mode != self._modes.get(cid)])
            self._modes[cid] = settings
            await self._server.put_conversation(cid, settings=settings)
            self.made["mode"] += 1

    async def _policies(self) -> None:
        while self.made["mode"] < CHANGES:
            await self._server.put_policy(random.choice(POLICIES))
            self.made["policy"] += 1
            await asyncio.sleep(0.05)

    async def _looks(self) -> None:
        while self.made["mode"] < CHANGES:
            device: Device = random.choice(self._load.devices)
            await device.look(random.choice([*device.seqs, None]))
            self.made["look"] += 1
            await asyncio.sleep(0.02)

    async def end(self) -> None:
        """Everything is pushed to everybody: who looked away is to show all of it, too."""
        await self._server.put_policy({key: None for policy in POLICIES for key in policy})
        for cid in self._load.cids:
            await self._server.put_conversation(cid, settings=MODES[1])


async def test_a_thousand_changes_of_mode_under_load_lose_repeat_and_reorder_nothing(
    start_redis: Callable[..., RedisServer], tmp_path: Path, note_result: Callable[[Result], None]
) -> None:
    redis = start_redis()
    async with (
        Stage(tmp_path, redis, nodes=2) as stage,
        Load(stage.urls, users=24, comers=0, conversations=8, pace_s=0.25) as load,
        AsyncServer(stage.urls, API_KEY) as server,
    ):
        changing = Changing(load, server)
        await changing.run()
        await changing.end()
        verdict = await load.settle()

    made = changing.made
    assert (made["mode"] >= CHANGES, made["policy"] > 20, made["look"] > 50) == (True, True, True), made
    note_result(
        Result(
            fault=f"{CHANGES} changes of mode",
            sends=verdict.sends,
            answered=verdict.confirmed,
            deliveries=verdict.deliveries,
            violations=[str(violation) for violation in verdict.violations],
            heal_s=0.0,
            heal_within_s=0.0,
        )
    )
    assert verdict.deliveries > 1_000
