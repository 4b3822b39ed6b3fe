"""Health on a cluster: one primary that refuses writes is enough to say so, and which."""

from __future__ import annotations

import pytest

from pushpull.settings import Settings
from pushpull.store import Store
from tests.servers import RedisCluster


@pytest.mark.parametrize(
    ("setting", "bad", "good", "detail"),
    [
        ("maxmemory", "1", "0", "redis is out of memory (OOM)"),
        ("min-replicas-to-write", "1", "0", "redis has too few replicas (NOREPLICAS)"),
    ],
)
async def test_a_shard_that_refuses_writes_is_named_until_it_takes_them_again(
    cluster: RedisCluster, cluster_url: str, setting: str, bad: str, good: str, detail: str
) -> None:
    store = await Store.open(Settings(), url=cluster_url)
    bad_one = cluster.servers[1]
    assert (await store.health()).ok
    bad_one.ask("CONFIG", "SET", setting, bad)
    try:
        health = await store.health()
        assert (health.reachable, health.writable) == (True, False)
        assert health.detail == f"127.0.0.1:{bad_one.port}: {detail}"
    finally:
        bad_one.ask("CONFIG", "SET", setting, good)
    assert (await store.health()).ok
    await store.aclose()
