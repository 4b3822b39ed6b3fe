"""Is every primary fit to serve: reachable, writable, with enough replicas, and set not to throw data away."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from redis import exceptions as redis_errors

from pushpull.redis_server import info_field
from pushpull.store.checks import replicas_online
from pushpull.store.keys import Keys
from pushpull.store.refusals import LOST, unavailable
from pushpull.store.servers import Servers, Shard
from pushpull.store.values import Health

PROBE_EXPIRES_MS: Final = 60_000


async def check_health(servers: Servers, keys: Keys, *, replicas: int = 0) -> Health:
    """Ping, write to, and look at each primary, side by side; the worst of what was found. Raises nothing.

    `replicas`: how many must be in sync with each.
    """
    missing = servers.missing()
    if missing:
        await servers.renew()
        return Health(False, False, False, f"redis is a cluster of which {missing}")
    shards = servers.shards()
    found = await asyncio.gather(*(_check(shard, keys, replicas, alone=len(shards) == 1) for shard in shards))
    worst = min(found, key=lambda health: (health.reachable, health.writable, health.noeviction))
    if not (worst.reachable and worst.writable):
        await servers.renew()  # perhaps another has taken over: the next look finds out
    return worst


async def _check(shard: Shard, keys: Keys, replicas: int, *, alone: bool) -> Health:
    where = "" if alone else f"{shard.server.name}: "
    ping, written, memory, replication = await shard.server.exchange(
        [
            ("PING",),
            # Read-only replicas, full disks, full memories and missing replicas all refuse this.
            ("SET", keys.write_probe(shard.tag), "1", "PX", PROBE_EXPIRES_MS),
            ("INFO", "memory"),
            ("INFO", "replication"),
        ]
    )
    if isinstance(ping, Exception):
        return Health(False, False, False, where + unavailable(ping, "PING").message)
    if isinstance(written, redis_errors.MovedError | redis_errors.AskError):
        return Health(True, True, True, "")  # its slots are on the move, which refuses nothing
    if isinstance(written, Exception):
        return Health(not isinstance(written, LOST), False, True, where + unavailable(written, "SET").message)
    short = _short_of_replicas(replication, replicas)
    if short:
        return Health(True, False, True, where + short)
    evicts = _evicts(memory)
    return Health(True, True, not evicts, where + evicts if evicts else "")


def _short_of_replicas(told: Any, wanted: int) -> str:
    if not wanted or isinstance(told, Exception):
        return ""
    found = replicas_online(told.decode())
    return "" if found >= wanted else f"redis has {found} replicas in sync, expected {wanted} (redis.replicas)"


def _evicts(told: Any) -> str:
    if isinstance(told, Exception):
        return ""  # a server that does not say is given the benefit of the doubt
    text = told.decode()
    policy = info_field(text, "maxmemory_policy") or "noeviction"
    if policy == "noeviction" or not int(info_field(text, "maxmemory") or 0):
        return ""
    return f"redis evicts: maxmemory-policy is {policy}, expected noeviction"
