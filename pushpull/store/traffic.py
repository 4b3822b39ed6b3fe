"""What is kept and how fast it grows, from samples: some keys of each primary, some logs, two looks at a counter.

Bounded: PAGES calls of SCAN to each primary, LOGS logs in all, whatever there is. SCAN goes by the keys' hashes, so its
first pages are as good as a sample drawn at random.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from pushpull.model import Cid, ts_of
from pushpull.store.facts import LogFacts, TrafficFacts
from pushpull.store.keys import Keys
from pushpull.store.refusals import unavailable
from pushpull.store.scripts import LOG_SPAN, Call, Wire
from pushpull.store.servers import Server, Servers

PAGES: Final = 20
PAGE: Final = 500
LOGS: Final = 200
LOGS_AT_ONCE: Final = 20
"""A log of millions takes Redis a moment to look at; between two pipelines others have their turn."""


async def traffic_of(servers: Servers, keys: Keys, *, over_s: float, clock: Callable[[], float]) -> TrafficFacts:
    """Takes `over_s` seconds, and what the samples take. Raises StoreUnavailable."""
    shards = [shard.server for shard in servers.shards()]
    first, began = await _appended(shards), time.monotonic()
    seen = [key for server in shards for key in await _keys(server)]
    own = [key for key in seen if keys.is_own(key)]
    end = keys.meta(Cid("x")).rpartition("}")[2]
    cids = [keys.cid_of_meta(key) for key in own if key.endswith(end) and key.startswith(keys.prefix + "{c:")]
    logs = await _logs(Wire(servers), keys, cids[:: max(1, len(cids) // LOGS)][:LOGS])
    await asyncio.sleep(max(0.0, over_s - (time.monotonic() - began)))
    last, over = await _appended(shards), time.monotonic() - began
    return TrafficFacts(
        keys=sum([await _count(server) for server in shards]),
        looked_at=len(seen),
        conversations=len(cids),
        foreign=len(seen) - len(own),
        logs=tuple(logs),
        appended=max(0, last[0] - first[0]),
        over_s=over,
        appended_before=last[0],
        before_s=last[1],
        now_ms=int(clock() * 1000),
    )


async def _appended(servers: Sequence[Server]) -> tuple[int, float]:
    """Messages since the servers started, and how long ago that was (s, the longest).

    Each XADD is a message or an offline job, and each job ends with one XACK.
    """
    messages, up_s = 0, 0.0
    for server in servers:
        told = (await _ask(server, "INFO", "everything")).decode(errors="replace")
        fields = dict(line.partition(":")[::2] for line in told.splitlines())
        messages += max(0, _calls(fields.get("cmdstat_xadd", "")) - _calls(fields.get("cmdstat_xack", "")))
        up_s = max(up_s, float(fields.get("uptime_in_seconds", 0)))
    return messages, up_s


def _calls(stat: str) -> int:
    """`calls=12,usec=…` → 12; 0 where it was never called."""
    return int(dict(part.partition("=")[::2] for part in stat.split(",")).get("calls", 0))


async def _keys(server: Server) -> list[str]:
    """Some of its keys, all where they are few."""
    found: dict[str, None] = {}
    cursor = 0
    for _ in range(PAGES):
        reply = await _ask(server, "SCAN", cursor, "COUNT", PAGE)
        found.update((key.decode(errors="replace"), None) for key in reply[1])
        cursor = int(reply[0])
        if cursor == 0:
            break
    return list(found)


async def _count(server: Server) -> int:
    return int(await _ask(server, "DBSIZE"))


async def _ask(server: Server, *command: Any) -> Any:
    (reply,) = await server.exchange([command])
    if isinstance(reply, Exception):
        raise unavailable(reply, str(command[0]))
    return reply


async def _logs(wire: Wire, keys: Keys, cids: Sequence[Cid]) -> list[LogFacts]:
    """Those of `cids` that hold anything."""
    found = []
    for at in range(0, len(cids), LOGS_AT_ONCE):
        calls = [Call(LOG_SPAN, [keys.log(cid), keys.meta(cid)]) for cid in cids[at : at + LOGS_AT_ONCE]]
        replies = await wire.run_many(calls, again=True)
        found += [_log(reply) for reply in replies if isinstance(reply, list)]
    return found


def _log(reply: Sequence[Any]) -> LogFacts:
    messages, oldest, size_bytes, most, days = reply
    return LogFacts(
        messages=int(messages),
        since_ms=ts_of(oldest.decode()),
        size_bytes=int(size_bytes),
        most=None if most is None else int(most),
        days=None if days is None else int(days),
    )
