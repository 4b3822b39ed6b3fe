"""How much memory each primary uses, and how much it may."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from pushpull.redis_server import info_field
from pushpull.store.servers import Servers, Shard


@dataclass(frozen=True, slots=True)
class Memory:
    """`max_bytes`: 0 where there is no limit. `server`: host:port, or how the URL names the only one."""

    server: str
    used_bytes: int
    max_bytes: int


async def memory_of(servers: Servers) -> list[Memory]:
    """Of those primaries that say so; raises nothing."""
    found = await asyncio.gather(*(_ask(shard) for shard in servers.shards()))
    return [each for each in found if each is not None]


async def _ask(shard: Shard) -> Memory | None:
    (told,) = await shard.server.exchange([("INFO", "memory")])
    if isinstance(told, Exception):
        return None
    text = told.decode()
    return Memory(shard.server.name, int(info_field(text, "used_memory") or 0), int(info_field(text, "maxmemory") or 0))
