"""Is it a Redis that this release can use, at the address that is meant for it?"""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.facts import Facts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.redis_server import MIN_VERSION
from pushpull.store.conversations import SCHEMA_VERSION
from pushpull.store.facts import RedisFacts, ServerFacts

REDIS_UNREACHABLE = error(
    "redis_unreachable",
    why="nothing can be sent or stored without it; nodes wait 30 s for it at a start and then give up",
    mend="start it, or correct redis.url: host, port, password, and what a firewall lets through",
)
SERVER_AWAY = warning(
    "server_away",
    why="a primary that is away takes its conversations with it, a replica that is away cannot take over",
    mend="start it again; look at its own log, and at whether its announced address is reachable from here",
)
REDIS_OLD = error(
    "redis_old",
    why="sharded pub/sub and parts of the scripts need 7.0: the service does not start",
    mend="upgrade the server to Redis or Valkey 7.0 or newer",
)
CLUSTER_AS_ONE = error(
    "cluster_as_one",
    why="each call whose key belongs to another server of the cluster is refused",
    mend="write redis.url as redis+cluster://host:port,host:port",
)
POINTS_AT_REPLICA = error(
    "points_at_replica",
    why="a replica is read-only: every send is refused",
    mend="point redis.url at the primary, or at the sentinels (redis+sentinel://…)",
)
CONFIG_HIDDEN = warning(
    "config_hidden",
    why="whether it keeps what it takes, expires tables lazily and lets bells through cannot be seen from here",
    mend="allow the user CONFIG GET (ACL SETUSER <name> +config|get), or compare with docs/operations.md by hand",
)
CLIENTS_NEARLY_FULL = warning(
    "clients_nearly_full",
    why="at maxclients Redis refuses connections: a node that restarts then finds none",
    mend="raise maxclients (CONFIG SET maxclients {wanted}), and the files that Redis may open with it",
)
SCHEMA_NEWER = error(
    "schema_newer",
    why="a newer release has written here: this one does not start, as it might destroy what it does not know",
    mend="run that release, or the one after this; never go back by more than one",
)
KEY_COLLISION = error(
    "key_collision",
    why="somebody else uses these names in the same database: calls on them fail, theirs and ours",
    mend='set redis.prefix (as in prefix = "chat:") before anything is stored, or name a database of its own',
)
FOREIGN_KEYS = warning(
    "foreign_keys",
    why="with an empty redis.prefix a name of theirs may become one of ours, and their memory is ours, too",
    mend="give the service a Redis or a database of its own, or set redis.prefix before anything is stored",
)

CONNECTIONS_A_NODE = 17  # the pool to one server, and one for the bells
NEARLY = 0.8


def reach(facts: Facts) -> Item | None:
    """Whether it answers, and what it is."""
    redis = facts.redis
    if redis is None:
        return Item("redis", "the embedded Redis does not run: start the service to have it looked at", skipped=True)
    if redis.problem:
        return Item("redis", redis.problem, (REDIS_UNREACHABLE.found(redis.problem),))
    return Item("redis", _told(redis), tuple(_of_servers(facts, redis)))


def _told(redis: RedisFacts) -> str:
    versions = sorted({_named(server) for server in redis.servers})
    where = {"one": "one server", "cluster": "a cluster", "sentinel": "under sentinels"}[redis.kind]
    counts = f", primaries: {len(redis.primaries)}, replicas: {len(redis.replicas)}" if redis.kind != "one" else ""
    return f"{', '.join(versions)}, {where}{counts}"


def _named(server: ServerFacts) -> str:
    if server.info.get("server_name") == "valkey":
        return f"valkey {server.info.get('valkey_version', '?')}"
    return f"redis {server.info.get('redis_version', '?')}"


def _of_servers(facts: Facts, redis: RedisFacts) -> Iterator[Finding]:
    for name in redis.away:
        yield SERVER_AWAY.found(f"{name} does not answer")
    for server in redis.servers:
        version = server.info.get("redis_version", "0")
        if _parts(version) < MIN_VERSION:
            yield REDIS_OLD.found(f"{server.name} is version {version}")
        if redis.kind == "one" and server.info.get("cluster_enabled") == "1":
            yield CLUSTER_AS_ONE.found(f"{server.name} is part of a cluster, redis.url names one server")
        if redis.kind == "one" and server.role == "replica":
            yield POINTS_AT_REPLICA.found(f"{server.name} says that it is a replica")
        if server.config is None:
            yield CONFIG_HIDDEN.found(f"{server.name} refuses CONFIG GET")
        yield from _clients(facts, server)


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _clients(facts: Facts, server: ServerFacts) -> Iterator[Finding]:
    most = int(server.configured("maxclients") or 0)
    workers = facts.settings.server.workers
    wanted = server.number("connected_clients") + workers * CONNECTIONS_A_NODE
    if most and wanted > NEARLY * most:
        clients = server.number("connected_clients")
        yield CLIENTS_NEARLY_FULL.found(
            f"{server.name} has {clients} clients, {workers} workers may open {workers * CONNECTIONS_A_NODE} more, "
            f"and maxclients is {most}",
            wanted=2 * wanted,
        )


def keys(facts: Facts) -> Item | None:
    """Whether the keys are ours alone, and of a schema we read."""
    redis = facts.redis
    if redis is None or redis.problem:
        return None
    traffic, prefix = redis.traffic, facts.settings.redis.prefix
    findings = []
    if redis.schema > SCHEMA_VERSION:
        findings.append(SCHEMA_NEWER.found(f"schema {redis.schema}, this release reads up to {SCHEMA_VERSION}"))
    if redis.collisions:
        findings.append(KEY_COLLISION.found(f"{', '.join(redis.collisions)} hold something else than the service's"))
    if traffic.foreign and not prefix:
        findings.append(FOREIGN_KEYS.found(f"{traffic.foreign} of {traffic.looked_at} keys are none of the service's"))
    whose = f"prefix {prefix!r}" if prefix else "no prefix"
    return Item("keys", f"{traffic.keys:,} keys, {whose}, schema {redis.schema or 'not noted yet'}", tuple(findings))
