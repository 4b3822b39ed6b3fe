"""A primary is lost while its replica lacks the end of the logs, and the replica takes over."""

from __future__ import annotations

import asyncio

from tests.faults.fault import Fault
from tests.faults.redis_faults import KILL_S
from tests.faults.stage import Stage
from tests.servers import RedisServer, free_port, wait_until
from tests.servers.server import in_sync


def follow(replica: RedisServer, primary: RedisServer) -> None:
    """Make `replica` one of `primary`, and wait until it has all."""
    replica.ask("REPLICAOF", "127.0.0.1", str(primary.port))
    wait_until(lambda: in_sync(replica), "the replica is in sync")


def promoted_without_tail(stage: Stage, primary: RedisServer, replica: RedisServer, *, seconds: float = 0.7) -> Fault:
    """Replication stops, unnoticed; the primary dies; the replica is promoted, and found where the primary was."""

    async def begin() -> None:
        await asyncio.to_thread(replica.ask, "REPLICAOF", "127.0.0.1", str(free_port()))
        await asyncio.sleep(seconds)
        await asyncio.to_thread(primary.kill)
        await asyncio.to_thread(replica.ask, "REPLICAOF", "NO", "ONE")
        for node in stage.nodes:
            assert node.redis is not None
            node.redis.target = str(replica.socket_path)

    return Fault(
        name="replica promoted without the tail",
        begin=begin,
        lasts_s=0.5,
        heal_within_s=8,
        answers_during=False,
        may_lose_s=KILL_S,
    )
