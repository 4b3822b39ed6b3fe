"""Faults made in a real cluster, and under real sentinels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pushpull.store import examination
from tests.doctor.planting import MEMORY, codes_of, facts_of, set_to
from tests.doctor.sound import found_in
from tests.servers import RedisCluster, SentinelSetup, wait_until


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    """Three primaries, one replica each, all as the documents want them."""
    cluster = RedisCluster(replicas=1, appendonly=True, maxmemory=MEMORY, min_replicas_to_write=1)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


async def test_a_sound_cluster_has_no_fault_and_all_of_it_is_looked_at(cluster: RedisCluster) -> None:
    facts = await facts_of(cluster.url)

    assert found_in(facts) == set()
    assert facts.redis is not None
    assert (len(facts.redis.primaries), len(facts.redis.replicas)) == (3, 3)
    assert [server.heard for server in facts.redis.primaries] == [True] * 3


IN_A_CLUSTER = {
    "full_coverage_required": ("cluster-require-full-coverage", "yes"),
    "failover_slow": ("cluster-node-timeout", "15000"),
    "replica_barred": ("cluster-replica-validity-factor", "10"),
    "split_brain": ("min-replicas-to-write", "0"),
    "evicts": ("maxmemory-policy", "allkeys-lru"),
}


@pytest.mark.parametrize("code", IN_A_CLUSTER)
async def test_a_fault_of_one_server_of_a_cluster_is_found(cluster: RedisCluster, code: str) -> None:
    directive, value = IN_A_CLUSTER[code]
    server = cluster.servers[0]
    before = server.ask_for_list("CONFIG", "GET", directive)[1]
    set_to(directive, value)(server)
    try:
        assert await codes_of(cluster.url) == {code}
    finally:
        set_to(directive, before)(server)


async def test_one_server_of_a_cluster_named_as_a_single_one(
    cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examination, "HEARD_WITHIN_S", 0.2)

    found = await codes_of(cluster.servers[0].url)

    # Most channels belong to the other servers: it refuses to listen to them.
    assert found - {"bells_unheard"} == {"cluster_as_one"}


async def test_a_setting_of_a_replica_is_looked_at_too(cluster: RedisCluster) -> None:
    set_to("appendfsync", "no")(cluster.servers[-1])
    try:
        assert await codes_of(cluster.url) == {"fsync_never"}
    finally:
        set_to("appendfsync", "everysec")(cluster.servers[-1])


async def test_slots_that_nobody_has(cluster: RedisCluster) -> None:
    for server in cluster.servers:
        server.ask("CLUSTER", "DELSLOTS", "5")
    try:
        assert await codes_of(cluster.url) == {"slots_missing"}
    finally:
        cluster.servers[0].ask("CLUSTER", "ADDSLOTS", "5")
        wait_until(
            lambda: all("cluster_slots_assigned:16384" in each.ask("CLUSTER", "INFO") for each in cluster.servers),
            "all know again who has it",
        )


async def test_a_replica_that_hangs_does_not_answer(cluster: RedisCluster) -> None:
    cluster.servers[-1].pause()
    try:
        found = await codes_of(cluster.url)
    finally:
        cluster.servers[-1].resume()
        cluster.wait_ready()

    # By the time its silence is one, the others may have noticed.
    assert found - {"member_failing"} == {"server_away"}


async def test_a_replica_that_died_is_called_failed(cluster: RedisCluster) -> None:
    primary = cluster.servers[0]
    (replica,) = cluster.replicas_of(primary)
    replica.kill()
    wait_until(lambda: all("fail" in each.ask("CLUSTER", "NODES") for each in cluster.living()), "all call it failed")
    try:
        assert await codes_of(cluster.url) == {"member_failing", "no_replica", "writes_refused"}
    finally:
        replica.start()
        cluster.wait_ready()


async def test_sentinels_that_are_too_few_and_then_without_a_quorum(start_sentinel: Callable[..., Any]) -> None:
    setup: SentinelSetup = start_sentinel(sentinels=2, appendonly=True, maxmemory=MEMORY, min_replicas_to_write=1)
    assert await codes_of(setup.url) == {"few_sentinels"}

    left, gone = setup.sentinels
    gone.kill()
    setup.servers[1].kill()
    wait_until(lambda: left.ask("SENTINEL", "CKQUORUM", setup.NAME).startswith("-NOQUORUM"), "there is no quorum")
    wait_until(lambda: "s_down" in str(left.ask_for_list("SENTINEL", "REPLICAS", setup.NAME)), "it is called down")
    found = {"few_sentinels", "no_quorum", "member_failing", "no_replica", "writes_refused"}
    assert await codes_of(setup.url) == found

    left.ask("SENTINEL", "SET", setup.NAME, "down-after-milliseconds", "30000")
    assert "failover_slow" in await codes_of(setup.url)
