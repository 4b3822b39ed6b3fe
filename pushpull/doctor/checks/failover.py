"""When a server dies: is there another, will it be elected in time, and does it have what was confirmed?"""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.store.facts import ClusterFacts, RedisFacts, SentinelFacts, ServerFacts

SLOTS_MISSING = error(
    "slots_missing",
    why="conversations on slots that nobody has can be neither read nor written",
    mend="bring their primary or one of its replicas back, or give the slots to another: redis-cli --cluster fix",
)
CLUSTER_DOWN = error(
    "cluster_down",
    why="the cluster takes no writes while it calls itself down",
    mend="bring back the primaries that failed; more than half of them must be there to elect",
)
MEMBER_FAILING = warning(
    "member_failing",
    why="whoever it was a replica of, or for, has one less to take over",
    mend="start it again, or take it out for good (CLUSTER FORGET, SENTINEL RESET) and add another",
)
FULL_COVERAGE_REQUIRED = warning(
    "full_coverage_required",
    why="while one shard has no primary all shards refuse, the whole service and not a part of it",
    mend="CONFIG SET cluster-require-full-coverage no on each server, then CONFIG REWRITE",
)
FAILOVER_SLOW = warning(
    "failover_slow",
    why="a primary that died is noticed only then: sends to its conversations are refused for that long, and more",
    mend="cluster: CONFIG SET cluster-node-timeout 2000; sentinels: SENTINEL SET <name> down-after-milliseconds 2000",
)
REPLICA_BARRED = warning(
    "replica_barred",
    why="a replica that was cut off for a while may not be elected: the shard stays down though somebody has its data",
    mend="CONFIG SET cluster-replica-validity-factor 0 on each server, then CONFIG REWRITE",
)
NO_REPLICA = warning(
    "no_replica",
    why="when this primary dies nobody takes over: its conversations wait until it is back",
    mend="add a replica to it: redis-cli --cluster add-node … --cluster-slave, or REPLICAOF",
)
REPLICAS_SHORT = error(
    "replicas_short",
    why='durability is replicated: every send is refused with "not known to be replicated", and readyz is false',
    mend="bring replicas back or add some; redis.replicas is how many must confirm",
)
WRITES_REFUSED = error(
    "writes_refused",
    why="Redis refuses every write (NOREPLICAS) until so many replicas are in sync",
    mend="bring replicas back, or for the moment: CONFIG SET min-replicas-to-write {found}",
)
SPLIT_BRAIN = warning(
    "split_brain",
    why="a primary that is cut off goes on taking messages which are thrown away when it comes back",
    mend="CONFIG SET min-replicas-to-write 1 and min-replicas-max-lag 5 on each server, then CONFIG REWRITE",
)
NO_QUORUM = error(
    "no_quorum",
    why="the sentinels that are left cannot agree to elect anybody: if the primary dies, nothing happens",
    mend="start the sentinels that are away (SENTINEL CKQUORUM <name> says when it is enough)",
)
FEW_SENTINELS = warning(
    "few_sentinels",
    why="with fewer than three, the one that dies with the primary takes the majority with it",
    mend="run three sentinels or five, on machines that fail apart",
)

SLOW_MS = 5_000
ENOUGH_SENTINELS = 3


def failover(facts: Facts) -> Item | None:
    """Who would take over, and when. Of a single Redis only what its settings promise is looked at."""
    redis = facts.redis
    if redis is None or redis.problem:
        return None
    findings = [finding for server in redis.primaries for finding in _of_primary(server, facts, redis)]
    if redis.cluster is not None:
        findings += _of_cluster(redis.cluster, redis)
    if redis.sentinel is not None:
        findings += _of_sentinel(redis.sentinel)
    return Item("failover", _told(redis), tuple(findings))


def _told(redis: RedisFacts) -> str:
    replicas = ", ".join(str(online(server)) for server in redis.primaries)
    if redis.cluster is not None:
        return f"cluster {redis.cluster.state}, replicas in sync of each primary: {replicas}"
    if redis.sentinel is not None:
        return f"{redis.sentinel.sentinels} sentinels, quorum {redis.sentinel.quorum}, replicas in sync: {replicas}"
    return f"one server, nobody takes over; replicas in sync: {replicas}"


def online(primary: ServerFacts) -> int:
    """Its replicas that are in sync."""
    return sum("state=online" in primary.info.get(f"slave{n}", "") for n in range(primary.number("connected_slaves")))


def _of_primary(server: ServerFacts, facts: Facts, redis: RedisFacts) -> Iterator[Finding]:
    found, settings = online(server), facts.settings.redis
    least = int(server.configured("min-replicas-to-write") or 0)
    if settings.durability == "replicated" and found < settings.replicas:
        seen = f"{server.name} has {found} replicas in sync, redis.replicas is {settings.replicas}"
        yield REPLICAS_SHORT.found(seen)
    if least > found:
        seen = f"{server.name} has {found} replicas in sync and min-replicas-to-write {least}"
        yield WRITES_REFUSED.found(seen, found=found)
    if redis.kind == "one":
        return
    if not found:
        yield NO_REPLICA.found(f"{server.name} has no replica in sync")
    elif not least and server.config is not None:
        yield SPLIT_BRAIN.found(f"{server.name} has min-replicas-to-write 0")


def _of_cluster(cluster: ClusterFacts, redis: RedisFacts) -> Iterator[Finding]:
    if cluster.missing:
        yield SLOTS_MISSING.found(cluster.missing)
    elif cluster.state != "ok":
        yield CLUSTER_DOWN.found(f"cluster_state is {cluster.state}")
    for name in cluster.failing:
        yield MEMBER_FAILING.found(f"{name} is called failed")
    for server in redis.servers:
        if server.configured("cluster-require-full-coverage") == "yes":
            yield FULL_COVERAGE_REQUIRED.found(f"{server.name} has cluster-require-full-coverage yes")
        timeout = int(server.configured("cluster-node-timeout") or 0)
        if timeout > SLOW_MS:
            yield FAILOVER_SLOW.found(f"{server.name} has cluster-node-timeout {timeout}")
        factor = server.configured("cluster-replica-validity-factor") or "0"
        if factor != "0":
            yield REPLICA_BARRED.found(f"{server.name} has cluster-replica-validity-factor {factor}")


def _of_sentinel(sentinel: SentinelFacts) -> Iterator[Finding]:
    if sentinel.refusal:
        yield NO_QUORUM.found(sentinel.refusal)
    if sentinel.sentinels < ENOUGH_SENTINELS:
        yield FEW_SENTINELS.found(f"{sentinel.sentinels} sentinels know of it")
    for name in sentinel.failing:
        yield MEMBER_FAILING.found(f"{name} is called down")
    if sentinel.down_after_ms > SLOW_MS:
        yield FAILOVER_SLOW.found(f"down-after-milliseconds is {sentinel.down_after_ms}")
