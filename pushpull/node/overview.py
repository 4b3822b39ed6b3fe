"""All nodes together, for whoever operates the service: made of their reports when somebody asks, at any node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest

import msgspec

from pushpull.node import report
from pushpull.node.metrics import APPEND_BUCKETS_S, DELIVERY_BUCKETS_S
from pushpull.node.report import BusyHere, Report, quantile
from pushpull.store.store import Store
from pushpull.store.values import NodeRecord


class Latency(msgspec.Struct, kw_only=True):
    """Of `count` times in the last seconds: half were below p50_ms, 99 of 100 below p99_ms; null where there were none.

    Read off the buckets of the metric of that name, so true to the width of a bucket.
    """

    count: int
    p50_ms: float | None
    p99_ms: float | None


class Figures(msgspec.Struct, kw_only=True):
    """How a node does, or all of them: of `load` (0 to 1), `lag_ms` and `shedding` (a level, 0 to 3) the worst, of all
    else the sum. `per_s` is over the last seconds, `since_start` since each node started; both by what is counted."""

    sessions: int
    feeds: int
    windows: int
    waiting_sends: int
    load: float
    lag_ms: float
    shedding: int
    per_s: dict[str, float]
    since_start: dict[str, int]
    append: Latency
    delivery: Latency


class Busy(msgspec.Struct, kw_only=True):
    """A conversation with messages lately. `rate`: messages a second; `setting`: its own `mode`; `mode` and `why`: the
    one in force on the node with most of its devices; `busy`: that rate times the members is over the edge.
    `pushed`, `gathered`, `notified` and `told`: connected devices by the way they are served, on `nodes` nodes."""

    cid: str
    rate: float
    members: int
    setting: str
    mode: str
    why: str
    busy: bool
    pushed: int
    gathered: int
    notified: int
    told: int
    nodes: int


class Overview:
    """Raises StoreUnavailable. One command for each node that lives, and one more."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def reports(self) -> list[tuple[NodeRecord, Report | None]]:
        """The nodes that live, by id; None beside one that has not reported, or in words of another release."""
        alive = await self._store.nodes.alive()
        said = await self._store.reports.of([node.id for node in alive])
        return [(node, report.decode(text)) for node, text in zip(alive, said, strict=True)]

    async def busiest(self, limit: int) -> list[Busy]:
        """The conversations with most messages a second of those that somebody is connected to; at most MOST_BUSY."""
        return ranked(said for _, said in await self.reports() if said is not None)[:limit]


def figures(reports: Sequence[Report]) -> Figures:
    """Of one node, or of several together."""
    since_start: Counter[str] = Counter()
    per_s: dict[str, float] = {}
    for each in reports:
        since_start.update(each.since_start)
        for name, count in each.lately.items():
            per_s[name] = round(per_s.get(name, 0.0) + count / each.over_s, 3)
    return Figures(
        sessions=sum(each.sessions for each in reports),
        feeds=sum(each.feeds for each in reports),
        windows=sum(each.windows for each in reports),
        waiting_sends=sum(each.waiting_sends for each in reports),
        load=max((each.load for each in reports), default=0.0),
        lag_ms=max((each.lag_ms for each in reports), default=0.0),
        shedding=max((each.shedding for each in reports), default=0),
        per_s=per_s,
        since_start=dict(since_start),
        append=_latency(APPEND_BUCKETS_S, [each.append_counts for each in reports]),
        delivery=_latency(DELIVERY_BUCKETS_S, [each.delivery_counts for each in reports]),
    )


def _latency(edges: Sequence[float], counted: Sequence[Sequence[int]]) -> Latency:
    counts = [sum(column) for column in zip_longest(*counted, fillvalue=0)]
    half, most = quantile(edges, counts, 0.5), quantile(edges, counts, 0.99)
    return Latency(count=sum(counts), p50_ms=_ms(half), p99_ms=_ms(most))


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def ranked(reports: Iterable[Report]) -> list[Busy]:
    """The conversations of all reports, the one with most messages a second first."""
    rows: dict[str, list[BusyHere]] = {}
    for each in reports:
        for row in each.busiest:
            rows.setdefault(row.cid, []).append(row)
    return sorted(map(_merged, rows.values()), key=lambda busy: (-busy.rate, busy.cid))


def _merged(rows: Sequence[BusyHere]) -> Busy:
    """One conversation, as several nodes serve it."""
    most = max(rows, key=lambda row: row.devices)
    return Busy(
        cid=most.cid,
        rate=max(row.rate for row in rows),
        members=most.members,
        setting=most.setting,
        mode=most.mode,
        why=most.why,
        busy=any(row.busy for row in rows),
        pushed=sum(row.pushed for row in rows),
        gathered=sum(row.gathered for row in rows),
        notified=sum(row.notified for row in rows),
        told=sum(row.told for row in rows),
        nodes=sum(row.devices > 0 for row in rows),
    )
