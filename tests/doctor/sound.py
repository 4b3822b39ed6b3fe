"""Facts in which there is nothing to find, and how to write one thing into them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from msgspec import structs

from pushpull.doctor.checks import examined
from pushpull.doctor.facts import Facts, MachineFacts, NodeFacts, ServiceFacts
from pushpull.settings import Auth, Settings
from pushpull.settings import Redis as RedisSettings
from pushpull.store.facts import (
    ClusterFacts,
    LogFacts,
    RedisFacts,
    SentinelFacts,
    ServerFacts,
    TrafficFacts,
)

GIB = 1024**3
DAY_MS = 86_400_000
STRONG = "vX2q9LrT7mBn4KzW8cYp3JhGf6DsAe1U"
STRONG_KEY = "Zk8wQ3nVb6YtR1mLx5GpDc7HsJf2Ea9U"

Plant = Callable[[Facts], Facts]

INFO = {
    "redis_version": "7.2.4",
    "server_name": "valkey",
    "valkey_version": "9.1.2",
    "role": "master",
    "cluster_enabled": "0",
    "aof_enabled": "1",
    "aof_last_write_status": "ok",
    "aof_last_bgrewrite_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "used_memory": str(GIB),
    "maxmemory": str(4 * GIB),
    "total_system_memory": str(8 * GIB),
    "maxmemory_policy": "noeviction",
    "evicted_keys": "0",
    "latest_fork_usec": "900",
    "connected_clients": "40",
    "connected_slaves": "0",
}
CONFIG = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    "no-appendfsync-on-rewrite": "no",
    "lazyfree-lazy-expire": "yes",
    "client-output-buffer-limit": "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    "disable-thp": "yes",
    "maxclients": "10000",
    "min-replicas-to-write": "0",
    "cluster-node-timeout": "2000",
    "cluster-require-full-coverage": "no",
    "cluster-replica-validity-factor": "0",
}
REPLICATED = {"connected_slaves": "1", "slave0": "ip=10.0.0.2,port=6379,state=online,offset=9,lag=0"}
SERVER = ServerFacts(
    name="10.0.0.1:6379", role="primary", info=INFO, config=CONFIG, ping_ms=(0.2,) * 100, ahead_s=0.01, heard=True
)
TRAFFIC = TrafficFacts(
    keys=1_000,
    looked_at=1_000,
    conversations=10,
    logs=tuple(LogFacts(messages=1_000, since_ms=0, size_bytes=300_000) for _ in range(10)),
    appended=3,
    over_s=3.0,
    appended_before=864,
    before_s=86_400.0,
    now_ms=10 * DAY_MS,
)
REDIS = RedisFacts(
    kind="one", hosts=("10.0.0.1",), tls=True, password=True, servers=(SERVER,), schema=1, traffic=TRAFFIC
)
MACHINE = MachineFacts(
    cores=4,
    memory_bytes=16 * GIB,
    open_files=1_048_576,
    somaxconn=4_096,
    overcommit=1,
    huge_pages="madvise",
    free_bytes=100 * GIB,
)
NODE = NodeFacts(id="n1", version="0.1.0", sessions=10, feeds=10, lag_ms=1.0, load=0.1)
SERVICE = ServiceFacts(url="http://10.0.0.3:8080", nodes=(NODE, replace(NODE, id="n2")))


def sound() -> Facts:
    """A named Redis on another machine, two nodes that run."""
    settings = Settings(
        redis=RedisSettings(url="rediss://:login@10.0.0.1:6379"),
        auth=Auth(jwt_secret=(STRONG,), api_keys=(STRONG_KEY,)),
    )
    return Facts(settings=settings, machine=MACHINE, redis=REDIS, services=(SERVICE,))


def sound_embedded() -> Facts:
    """A service of its own on this machine, its Redis with it, as it is out of the box."""
    server = replace(SERVER, info={**INFO, "maxmemory": "0"})
    redis = replace(REDIS, hosts=("",), tls=False, password=False, embedded=True, servers=(server,))
    return replace(sound(), settings=Settings(auth=Auth(jwt_secret=(STRONG,), api_keys=(STRONG_KEY,))), redis=redis)


def sound_cluster() -> Facts:
    primary = replace(
        SERVER, info={**INFO, **REPLICATED, "cluster_enabled": "1"}, config={**CONFIG, "min-replicas-to-write": "1"}
    )
    replica = replace(primary, name="10.0.0.2:6379", role="replica", info={**INFO, "role": "slave"}, heard=None)
    cluster = ClusterFacts(state="ok", missing="", failing=())
    return replace(sound(), redis=replace(REDIS, kind="cluster", servers=(primary, replica), cluster=cluster))


def sound_sentinel() -> Facts:
    cluster = sound_cluster()
    assert cluster.redis is not None
    sentinel = SentinelFacts(sentinels=3, quorum=2, refusal="", down_after_ms=2_000, failing=())
    return replace(cluster, redis=replace(cluster.redis, kind="sentinel", cluster=None, sentinel=sentinel))


def found_in(facts: Facts) -> set[str]:
    """The codes of all findings."""
    return {finding.code for item in examined(facts) for finding in item.findings}


# ---------------------------------------------------------------------------------------------------- planting


def info(**fields: Any) -> Plant:
    """In INFO of the first server."""
    return lambda facts: _server(facts, lambda server: {"info": {**server.info, **_texts(fields)}})


def config(directive: str, value: str) -> Plant:
    """A directive of the first server."""
    return lambda facts: _server(facts, lambda server: {"config": {**(server.config or {}), directive: value}})


def server(**fields: Any) -> Plant:
    return lambda facts: _server(facts, lambda _: fields)


def redis(**fields: Any) -> Plant:
    return lambda facts: replace(facts, redis=replace(facts.redis, **fields))  # type: ignore[type-var]


def traffic(**fields: Any) -> Plant:
    return redis(traffic=replace(TRAFFIC, **fields))


def machine(**fields: Any) -> Plant:
    return lambda facts: replace(facts, machine=replace(facts.machine, **fields))


def settings(**fields: Any) -> Plant:
    """`server__drain_s=100` and the like."""

    def plant(facts: Facts) -> Facts:
        changed = facts.settings
        for name, value in fields.items():
            section, _, key = name.partition("__")
            changed = structs.replace(changed, **{section: structs.replace(getattr(changed, section), **{key: value})})
        return replace(facts, settings=changed)

    return plant


def service(**fields: Any) -> Plant:
    return lambda facts: replace(facts, services=(replace(SERVICE, **fields),))


def node(**fields: Any) -> Plant:
    """In the second of the two nodes."""
    return service(nodes=(NODE, replace(NODE, id="n2", **fields)))


def cluster(**fields: Any) -> Plant:
    return redis(cluster=replace(ClusterFacts(state="ok", missing="", failing=()), **fields))


def sentinel(**fields: Any) -> Plant:
    good = SentinelFacts(sentinels=3, quorum=2, refusal="", down_after_ms=2_000, failing=())
    return redis(sentinel=replace(good, **fields))


def both(*plants: Plant) -> Plant:
    def plant(facts: Facts) -> Facts:
        for each in plants:
            facts = each(facts)
        return facts

    return plant


def _server(facts: Facts, change: Callable[[ServerFacts], dict[str, Any]]) -> Facts:
    assert facts.redis is not None
    first, *rest = facts.redis.servers
    return replace(facts, redis=replace(facts.redis, servers=(replace(first, **change(first)), *rest)))


def _texts(fields: dict[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}
