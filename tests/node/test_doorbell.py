"""The node hears when every shard's probe came back; one that stays silent gets another connection."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pushpull.node import doorbell as doorbell_module
from pushpull.node.background import Background
from pushpull.node.doorbell import DEAF_AFTER_S, Doorbell
from pushpull.store.values import ProbeEcho, Ring
from tests.node.fakes import Clock


class Bells:
    """Two shards, of which those that are named are deaf."""

    def __init__(self) -> None:
        self.deaf: set[str] = set()
        self.reconnected: list[str] = []
        self._echoes: asyncio.Queue[Ring] = asyncio.Queue()

    async def start(self, node_id: str) -> None: ...

    def shards(self) -> list[str]:
        return ["1", "2"]

    async def probe(self, token: str) -> None:
        for shard in self.shards():
            if shard not in self.deaf:
                self._echoes.put_nowait(ProbeEcho(token, shard))

    async def next(self, timeout_s: float) -> Ring | None:
        return await self._echoes.get()

    def ready(self) -> list[Ring]:
        return []

    async def reconnect(self, shard: str) -> None:
        self.reconnected.append(shard)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(doorbell_module, "time", clock)
    return clock


async def test_it_hears_when_every_shard_is_heard_and_gives_up_the_silent_ones(clock: Clock) -> None:
    bells: Any = Bells()
    background = Background()
    doorbell = Doorbell(bells, background, rung=lambda rings: None)
    await doorbell.start("n1")
    assert doorbell.hears

    bells.deaf = {"2"}
    clock.now += DEAF_AFTER_S
    await doorbell._probe_once()
    await asyncio.sleep(0.01)
    assert not doorbell.hears
    assert set(bells.reconnected) == {"1", "2"}  # nobody was heard for so long
    clock.now += DEAF_AFTER_S / 2
    await doorbell._probe_once()
    await asyncio.sleep(0.01)
    clock.now += DEAF_AFTER_S / 2
    bells.reconnected.clear()
    await doorbell._probe_once()
    await asyncio.sleep(0.01)
    assert bells.reconnected == ["2"]

    bells.deaf = set()
    await doorbell._probe_once()
    await asyncio.sleep(0.01)
    assert doorbell.hears
    await background.stop()
