"""A primary is lost and a replica takes over: of a cluster's shard, or under sentinels; killed, or hung."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from tests.faults.fault import Fault
from tests.faults.stage import Stage
from tests.servers import RedisCluster, RedisServer, SentinelSetup

AGAIN_S = 8.0
"""A target: sends succeed again so long after the primary was lost (cluster-node-timeout, down-after: 2 s)."""
UNREPLICATED_S = 1.0
"""What a primary may have confirmed and not replicated when it is lost, on a busy machine."""

How = Literal["killed", "hung"]


@dataclass
class Lost:
    """A primary that is to be lost, and comes back in the end."""

    find: Callable[[], RedisServer]
    primaries: Callable[[], list[RedisServer]]  # who is primary now, by the word of the others
    how: How
    server: RedisServer = field(init=False)

    async def lose(self) -> None:
        self.server = await asyncio.to_thread(self.find)
        if self.how == "killed":
            await asyncio.to_thread(self.server.kill)
        else:
            self.server.pause()

    async def bring_back(self) -> None:
        """It believes that it is the primary, until it is told. AssertionError: nobody took over."""
        assert self.server not in await asyncio.to_thread(self.primaries), "nobody took over"
        if self.how == "killed":
            await asyncio.to_thread(self.server.start)
        else:
            self.server.resume()


def shard_lost(stage: Stage, how: How, *, key: str | None = None, replicated: bool = False) -> Fault:
    """The primary that has `key`; None: any."""
    cluster: RedisCluster = stage.redis

    def find() -> RedisServer:
        return stage.random.choice(cluster.primaries()) if key is None else cluster.primary_of(key)

    return _fault(Lost(find, cluster.primaries, how), f"cluster: primary {how}", replicated=replicated)


def primary_lost(stage: Stage, how: How, *, replicated: bool = False) -> Fault:
    sentinels: SentinelSetup = stage.redis
    return _fault(
        Lost(sentinels.primary, lambda: [sentinels.primary()], how),
        f"sentinel: primary {how}",
        replicated=replicated,
    )


def _fault(lost: Lost, name: str, *, replicated: bool) -> Fault:
    """With `replicated` nothing may be lost, and the shard goes on when the old primary is back as a replica."""
    return Fault(
        name=name + (", replicated" if replicated else ""),
        begin=lost.lose,
        end=lost.bring_back,
        lasts_s=6,
        heal_within_s=20 if replicated else AGAIN_S,
        heal_from="end" if replicated else "begin",
        answers_during=False,
        may_lose_s=0.0 if replicated else UNREPLICATED_S,
    )
