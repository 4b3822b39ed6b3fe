"""Who stands beside the primaries: replicas, sentinels, the cluster as its members see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from redis import exceptions as redis_errors

from pushpull.store.address import Address
from pushpull.store.exchange import Command, on_connection
from pushpull.store.facts import ClusterFacts, SentinelFacts, ServerFacts
from pushpull.store.servers import Server, Servers
from pushpull.store.sockets import make_pool


@dataclass(frozen=True, slots=True)
class Members:
    """`replicas` are connected to by whoever asks them, who closes them, too."""

    replicas: list[Server] = field(default_factory=list)
    cluster: ClusterFacts | None = None
    sentinel: SentinelFacts | None = None


async def members_of(address: Address, servers: Servers, primaries: Sequence[ServerFacts]) -> Members:
    """What belongs to the primaries. Of a single Redis nothing: nobody takes over there.

    Raises nothing: what does not answer says nothing.
    """
    match address.kind:
        case "one":
            return Members()
        case "cluster":
            login = {name: value for name, value in address.options[0].items() if name not in ("host", "port")}
            return Members(_servers(replicas_in(primaries), login), cluster=await _cluster(servers))
        case "sentinel":
            return Members(_servers(replicas_in(primaries), address.primary), sentinel=await _sentinel(address))


def replicas_in(primaries: Sequence[ServerFacts]) -> list[tuple[str, int]]:
    """Host and port of the replicas that the primaries name (INFO: `slave0:ip=…,port=…,state=online,…`)."""
    found = []
    for primary in primaries:
        for n in range(primary.number("connected_slaves")):
            told = dict(part.partition("=")[::2] for part in primary.info.get(f"slave{n}", "").split(","))
            if told.get("ip") and told.get("port", "").isdigit():
                found.append((told["ip"], int(told["port"])))
    return found


def _servers(addresses: Sequence[tuple[str, int]], login: dict[str, Any]) -> list[Server]:
    return [
        Server(f"{host}:{port}", make_pool({**login, "host": host, "port": port}, replaced=True))
        for host, port in addresses
    ]


async def _cluster(servers: Servers) -> ClusterFacts | None:
    """As the first member that answers sees it."""
    for shard in servers.shards():
        info, nodes = await shard.server.exchange([("CLUSTER", "INFO"), ("CLUSTER", "NODES")])
        if isinstance(info, bytes):
            state = dict(line.partition(":")[::2] for line in info.decode().splitlines())
            failing = _failing(nodes.decode()) if isinstance(nodes, bytes) else ()
            return ClusterFacts(state=state.get("cluster_state", "?"), missing=servers.missing(), failing=failing)
    return None


def _failing(nodes: str) -> tuple[str, ...]:
    """Addresses of those that CLUSTER NODES calls failed: `<id> <host:port@bus> <flags> …`."""
    rows = [row for line in nodes.splitlines() if len(row := line.split()) > 2]
    return tuple(row[1].partition("@")[0] for row in rows if {"fail", "fail?"} & set(row[2].split(",")))


async def _sentinel(address: Address) -> SentinelFacts | None:
    """As the first sentinel that answers sees it."""
    name = address.name
    asked: list[Command] = [("SENTINEL", word, name) for word in ("MASTER", "REPLICAS", "CKQUORUM")]
    for options in address.options:
        master, replicas, quorum = await _of_sentinel(options, asked)
        if isinstance(master, Exception):
            continue
        told = _fields(master)
        rows = [] if isinstance(replicas, Exception) else [_fields(row) for row in replicas]
        return SentinelFacts(
            sentinels=1 + int(told.get("num-other-sentinels", 0)),
            quorum=int(told.get("quorum", 0)),
            refusal=str(quorum) if isinstance(quorum, Exception) and "NOQUORUM" in str(quorum) else "",
            down_after_ms=int(told.get("down-after-milliseconds", 0)),
            failing=tuple(row["name"] for row in rows if "down" in row.get("flags", "") and "name" in row),
        )
    return None


async def _of_sentinel(options: dict[str, Any], commands: Sequence[Command]) -> list[Any]:
    connection = make_pool(options, replaced=True).make_connection()
    try:
        await connection.connect()
        return await on_connection(connection, commands)
    except (redis_errors.RedisError, OSError) as problem:
        return [problem] * len(commands)
    finally:
        await connection.disconnect(nowait=True)


def _fields(flat: Sequence[bytes]) -> dict[str, str]:
    words = [word.decode(errors="replace") for word in flat]
    return dict(zip(words[::2], words[1::2], strict=True))
