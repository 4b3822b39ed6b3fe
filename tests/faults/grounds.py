"""Where soak breaks things: three nodes on one Redis, on a cluster, or on a primary under sentinels; and which faults
each of these can have."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.faults import clock_faults
from tests.faults.clock import Clock, missing
from tests.faults.failovers import primary_lost, shard_lost
from tests.faults.faults import Make
from tests.faults.mixture import CLIENT_LINES, GROUPS, NODES
from tests.faults.stage import Stage
from tests.servers import RedisCluster, RedisServer, SentinelSetup


@dataclass(frozen=True)
class Ground:
    """`redis` is started before `stage` is entered, and removed after it."""

    redis: RedisServer | RedisCluster | SentinelSetup
    stage: Stage
    groups: Sequence[Sequence[Make]]

    def wait_ready(self) -> None:
        """After a failover: until there is a replica again that can take over."""
        if not isinstance(self.redis, RedisServer):
            self.redis.wait_ready(within_s=60)

    def redis_logs(self) -> str:
        servers = [self.redis] if isinstance(self.redis, RedisServer) else self.redis.servers
        return "\n\n".join(server.log() for server in servers)


def one_server(directory: Path, seed: int) -> Ground:
    """With clocks that jump, where there are such."""
    directory.mkdir(parents=True)
    clock = None if missing() else Clock(directory / "clock")
    redis = RedisServer(appendonly=True, appendfsync="everysec", environ=clock.environ if clock else None)
    stage = Stage(directory, redis, redis_socket=redis.socket_path, clocks=clock is not None, seed=seed)
    *others, of_redis = GROUPS
    # Not together with what makes Redis lose or refuse: a jump makes sure that what is repeated is found.
    return Ground(redis, stage, [*others, [*of_redis, *(_clocks(clock) if clock else ())]])


def cluster(directory: Path, seed: int) -> Ground:
    redis = RedisCluster(replicas=1)
    lost: Sequence[Make] = (partial(shard_lost, how="killed"), partial(shard_lost, how="hung"))
    return Ground(redis, Stage(directory, redis, seed=seed), [NODES, CLIENT_LINES, lost])


def sentinels(directory: Path, seed: int) -> Ground:
    redis = SentinelSetup(replicas=2)
    lost: Sequence[Make] = (partial(primary_lost, how="killed"), partial(primary_lost, how="hung"))
    return Ground(redis, Stage(directory, redis, seed=seed), [NODES, CLIENT_LINES, lost])


GROUNDS: Sequence[Callable[[Path, int], Ground]] = (one_server, cluster, sentinels)


def _clocks(clock: Clock) -> Sequence[Make]:
    jumps = [partial(clock_faults.redis_clock_jumps, clock=clock, by_s=by_s) for by_s in (-3600, 3600)]
    return [*jumps, clock_faults.node_clocks_jump]
