"""Looking at the servers behind a URL for `pushpull doctor`: what they say of themselves, and how they answer.

Nothing is written: they are asked, pinged, and one channel of our own is rung. `pushpull.store.traffic` looks at what
is kept, `pushpull.store.constellation` at who stands beside the primaries. Each server is asked on one connection;
primaries one after the other, so that none waits for what another one costs us.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from redis import exceptions as redis_errors

from pushpull.errors import ConfigError, StoreUnavailable
from pushpull.settings import Settings
from pushpull.store.address import Address, parse
from pushpull.store.bells import Bells
from pushpull.store.checks import barrier_of
from pushpull.store.connection import connect
from pushpull.store.constellation import members_of
from pushpull.store.exchange import Command, on_connection
from pushpull.store.facts import RedisFacts, ServerFacts, TrafficFacts
from pushpull.store.keys import Keys
from pushpull.store.refusals import LOST, unavailable
from pushpull.store.servers import Server, Servers
from pushpull.store.traffic import traffic_of
from pushpull.store.values import ProbeEcho

HEARD_WITHIN_S: Final = 2.0
DIRECTIVES: Final = (
    "appendonly",
    "appendfsync",
    "save",
    "no-appendfsync-on-rewrite",
    "lazyfree-lazy-expire",
    "client-output-buffer-limit",
    "disable-thp",
    "maxclients",
    "min-replicas-to-write",
    "min-slaves-to-write",
    "cluster-node-timeout",
    "cluster-require-full-coverage",
    "cluster-replica-validity-factor",
)
TYPES: Final = {"nodes": "hash", "schema": "string", "control": "string", "policy": "string"}
"""Of the service's keys with everyday names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How long: `pings` to each server, `over_s` seconds in which messages are counted. `clock`: s since 1970."""

    pings: int = 100
    over_s: float = 3.0
    clock: Callable[[], float] = time.time


async def examine(url: str, settings: Settings, look: Look, *, embedded: bool = False) -> RedisFacts:
    """Everything there is to know of the servers of `url`. Raises ConfigError for a URL that cannot be used."""
    address = parse(url)
    facts = of_address(address, embedded=embedded)
    servers = connect(url)
    try:
        await servers.open()
        return await _examined(facts, address, servers, settings, look)
    except StoreUnavailable as problem:
        return replace(facts, problem=problem.message)
    finally:
        await servers.aclose()


async def _examined(
    facts: RedisFacts, address: Address, servers: Servers, settings: Settings, look: Look
) -> RedisFacts:
    keys = Keys(settings.redis.prefix)
    primaries, away = await _primaries(servers, keys, look)
    counting = asyncio.create_task(_traffic(servers, keys, look), name="traffic")
    try:
        members = await members_of(address, servers, primaries)
        replicas, lost = await _answers(members.replicas, look)
        for server in members.replicas:
            await server.aclose()
        schema, collisions = await _reserved(servers, keys)
        return replace(
            facts,
            servers=(*primaries, *replicas),
            away=(*away, *lost),
            cluster=members.cluster,
            sentinel=members.sentinel,
            durability=await _durability(servers, settings),
            schema=schema,
            collisions=collisions,
            traffic=await counting,
        )
    finally:
        counting.cancel()
        await asyncio.wait([counting])


async def _primaries(servers: Servers, keys: Keys, look: Look) -> tuple[list[ServerFacts], list[str]]:
    """What they say, and the names of those that say nothing. Raises StoreUnavailable where none says anything."""
    shards = servers.shards()
    asked = [(shard, await _asked(shard.server, look)) for shard in shards]
    away = [shard.server.name for shard, said in asked if isinstance(said, StoreUnavailable)]
    if away and len(away) == len(shards):
        raise next(said for _, said in asked if isinstance(said, StoreUnavailable))
    heard = await heard_from(servers, keys)
    return [
        replace(said, heard=shard.tag in heard if said.role == "primary" else None)
        for shard, said in asked
        if isinstance(said, ServerFacts)
    ], away


def of_address(address: Address, *, embedded: bool = False) -> RedisFacts:
    """What the URL alone says."""
    options = address.options[0] if address.kind != "sentinel" else {**address.options[0], **address.primary}
    return RedisFacts(
        kind=address.kind,
        hosts=tuple(str(each.get("host", "localhost")) if "path" not in each else "" for each in address.options),
        tls="ssl" in str(options.get("connection_class", "")).lower(),
        password=bool(options.get("password")),
        embedded=embedded,
    )


# ---------------------------------------------------------------------------------------------------- one server


async def _asked(server: Server, look: Look) -> ServerFacts | StoreUnavailable:
    """What one server says, on a connection of its own; why it does not."""
    connection = server.make_connection()
    try:
        await connection.connect()
        info, config = await on_connection(connection, [("INFO", "all"), ("CONFIG", "GET", *DIRECTIVES)])
        if isinstance(info, Exception):
            return unavailable(info, "INFO")
        fields = fields_of(info)
        return ServerFacts(
            name=server.name,
            role="replica" if fields.get("role") == "slave" else "primary",
            info=fields,
            config=None if isinstance(config, Exception) else _pairs(config),
            ping_ms=await _pings(connection, look.pings),
            ahead_s=await _ahead(connection, look.clock),
        )
    except (*LOST, redis_errors.RedisError) as problem:
        return unavailable(problem, "INFO")
    finally:
        await connection.disconnect(nowait=True)


def fields_of(info: bytes) -> dict[str, str]:
    """INFO's text as its fields."""
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in lines if colon}


def _pairs(flat: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode(errors="replace") for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))


async def _pings(connection: Any, count: int) -> tuple[float, ...]:
    """How long each of `count` pings took, in ms."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        await on_connection(connection, [("PING",)])
        took.append((time.perf_counter() - began) * 1000)
    return tuple(took)


async def _ahead(connection: Any, clock: Callable[[], float]) -> float:
    """By how many seconds its clock is ahead of ours, less what the way there and back leaves open; 0.0: not known."""
    before = clock()
    (told,) = await on_connection(connection, [("TIME",)])
    after = clock()
    if isinstance(told, Exception):
        return 0.0
    ahead = int(told[0]) + int(told[1]) / 1e6 - (before + after) / 2
    return float(max(0.0, abs(ahead) - (after - before) / 2) * (1 if ahead > 0 else -1)) or 0.0


async def _answers(servers: Sequence[Server], look: Look) -> tuple[list[ServerFacts], list[str]]:
    """What they say, side by side, and the names of those that say nothing."""
    found = await asyncio.gather(*(_asked(server, look) for server in servers))
    known = [each for each in found if isinstance(each, ServerFacts)]
    away = [server.name for server, each in zip(servers, found, strict=True) if isinstance(each, StoreUnavailable)]
    return known, away


# ---------------------------------------------------------------------------------------------------- all of them


async def heard_from(servers: Servers, keys: Keys) -> set[str]:
    """The tags of the shards from which a probe came back through pub/sub within HEARD_WITHIN_S."""
    bells, heard = Bells(servers, keys), set[str]()
    token = secrets.token_hex(8)
    wanted = {shard.tag for shard in servers.shards()}
    try:
        await bells.start(f"doctor-{token}")
        async with asyncio.timeout(HEARD_WITHIN_S):
            while heard != wanted:
                await bells.probe(token)  # again: those before the subscription was confirmed were not for us
                ring = await bells.next(0.1)
                heard |= {each.shard for each in (ring, *bells.ready()) if isinstance(each, ProbeEcho)}
    except TimeoutError:
        pass
    finally:
        await bells.aclose()
    return heard


async def _traffic(servers: Servers, keys: Keys, look: Look) -> TrafficFacts:
    """Nothing where one of the servers is away: a part would be taken for all."""
    try:
        return await traffic_of(servers, keys, over_s=look.over_s, clock=look.clock)
    except StoreUnavailable:
        return TrafficFacts()


async def _durability(servers: Servers, settings: Settings) -> str:
    """Why a start with `durability = "fsync"` would be refused; what "replicated" needs is seen in each primary."""
    if settings.redis.durability != "fsync":
        return ""
    try:
        await barrier_of(servers, settings.redis)
    except (ConfigError, StoreUnavailable) as problem:
        return problem.message
    return ""


async def _reserved(servers: Servers, keys: Keys) -> tuple[int, tuple[str, ...]]:
    """The schema that is noted, and those of the service's plain keys that hold something else."""
    names: Mapping[str, str] = {getattr(keys, name)(): kind for name, kind in TYPES.items()}
    asked: list[Command] = [("TYPE", name) for name in names]
    kinds = await servers.exchange(asked)
    taken = tuple(
        name
        for (name, kind), found in zip(names.items(), kinds, strict=True)
        if isinstance(found, bytes) and found.decode() not in ("none", kind)
    )
    (schema,) = await servers.exchange([("GET", keys.schema())]) if keys.schema() not in taken else (None,)
    return (int(schema) if isinstance(schema, bytes) and schema.isdigit() else 0), taken
