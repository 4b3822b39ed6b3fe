"""What is looked at when a store is opened: may this release run on these servers, do they keep what is promised?"""

from __future__ import annotations

import logging
import re
from typing import Final

from pushpull import settings
from pushpull.errors import ConfigError, StoreUnavailable
from pushpull.redis_server import info_field
from pushpull.store.conversations import SCHEMA_VERSION
from pushpull.store.exchange import Barrier
from pushpull.store.keys import Keys
from pushpull.store.scripts import Wire
from pushpull.store.servers import Servers, Shard

logger = logging.getLogger(__name__)

OLDEST_SERVER: Final = (7, 0)  # sharded pub/sub, scripts that replicate their effects, ZADD XX GT
WAITAOF_SINCE: Final = (7, 2)

REPLICAS_WITHIN_MS: Final = 1000
FSYNC_WITHIN_MS: Final = 1500
"""With `appendfsync everysec` the disk is up to a second behind. Both are less than a socket's patience."""


async def check_servers(wire: Wire) -> None:
    """ConfigError where a primary is too old."""
    for told in await wire.everywhere("INFO", "server"):
        version = info_field(told.decode(), "redis_version") or "0"
        if _parts(version) < OLDEST_SERVER:
            raise ConfigError(f"redis is version {version}: expected 7.0 or newer")


async def check_schema(wire: Wire, keys: Keys) -> None:
    """Note the schema where there is none yet; ConfigError where it is a newer one."""
    await wire.command("SET", keys.schema(), SCHEMA_VERSION, "NX", again=True)
    found = int(await wire.command("GET", keys.schema(), again=True) or 0)
    if found > SCHEMA_VERSION:
        raise ConfigError(f"redis holds schema {found}: this release reads up to {SCHEMA_VERSION}")


async def barrier_of(servers: Servers, redis: settings.Redis) -> Barrier | None:
    """What an append ends with, by the durability that is set. ConfigError where a primary cannot give it."""
    match redis.durability:
        case "memory":
            return None
        case "fsync":
            return await _fsync(servers.shards())
        case "replicated":
            for shard in servers.shards():
                await _warn_of_few_replicas(shard, redis.replicas)
            return replicated(redis.replicas)


def replicated(replicas: int) -> Barrier:
    return Barrier(
        ("WAIT", replicas, REPLICAS_WITHIN_MS),
        lambda reply: int(reply) >= replicas,
        "stored, not known to be replicated: retry with the same cmid",
    )


def fsynced() -> Barrier:
    return Barrier(
        ("WAITAOF", 1, 0, FSYNC_WITHIN_MS),
        lambda reply: int(reply[0]) >= 1,
        "stored, not known to be on disk: retry with the same cmid",
    )


async def _fsync(shards: list[Shard]) -> Barrier | None:
    """None: every primary syncs before it answers (`appendfsync always`); else it is asked to wait for its disk."""
    syncs = [await _syncs_always(shard) for shard in shards]
    return None if all(syncs) else fsynced()


async def _syncs_always(shard: Shard) -> bool:
    """Whether this primary syncs each write. ConfigError: it neither does, nor can be waited for."""
    found, told = await shard.server.exchange([("CONFIG", "GET", "append*"), ("INFO", "server")])
    if isinstance(found, Exception) or isinstance(told, Exception):
        raise ConfigError("redis.durability fsync cannot be verified: redis refuses CONFIG GET")
    values = {name.decode(): value.decode() for name, value in zip(found[::2], found[1::2], strict=True)}
    appendonly, appendfsync = values.get("appendonly", "?"), values.get("appendfsync", "?")
    if appendonly != "yes":
        raise ConfigError(f"redis.durability fsync needs appendonly yes: redis has appendonly {appendonly}")
    if appendfsync == "always":
        return True
    if _parts(info_field(told.decode(), "redis_version") or "0") < WAITAOF_SINCE or appendfsync == "no":
        raise ConfigError(f"redis.durability fsync needs appendfsync always: redis has appendfsync {appendfsync}")
    return False


async def _warn_of_few_replicas(shard: Shard, wanted: int) -> None:
    (told,) = await shard.server.exchange([("INFO", "replication")])
    if isinstance(told, Exception):
        raise StoreUnavailable("redis does not say how many replicas it has")
    found = replicas_online(told.decode())
    if found < wanted:
        logger.warning(
            "%s has %d replicas in sync and redis.replicas is %d: sends are refused until it has them",
            shard.server.name,
            found,
            wanted,
        )


def replicas_online(replication: str) -> int:
    """How many replicas are in sync, by a primary's INFO replication."""
    return len(re.findall(r"^slave\d+:.*\bstate=online\b", replication, re.MULTILINE))


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
