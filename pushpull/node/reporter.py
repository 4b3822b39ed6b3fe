"""Making a node's report, and saying it: every BEAT_S, one write, whatever the number of sessions and conversations."""

from __future__ import annotations

import asyncio
import time
from heapq import nlargest
from typing import Final

from pushpull.node import report
from pushpull.node.feed import Feed
from pushpull.node.load import LoadMeter
from pushpull.node.metrics import Metrics
from pushpull.node.parts import Parts
from pushpull.node.report import COUNTED, MOST_BUSY, BusyHere, Report

RANKED_AT_ONCE: Final = 2_000
"""Conversations ranked between two turns of the loop: about a millisecond."""


class Reporter:
    def __init__(self, parts: Parts, load: LoadMeter) -> None:
        self._parts = parts
        self._load = load
        self._before = _Counts(parts.metrics)

    async def say(self) -> None:
        """Report. Call every few seconds. Raises StoreUnavailable."""
        made = await self._made()
        await self._parts.store.reports.say(self._parts.node_id, report.encode(made))

    async def _made(self) -> Report:
        busiest = await self._busiest()
        before, self._before = self._before, _Counts(self._parts.metrics)
        now, parts = self._before, self._parts
        return Report(
            over_s=round(max(now.at - before.at, 1e-3), 3),
            load=round(self._load.load, 3),
            lag_ms=round(self._load.lag_s * 1000, 1),
            sessions=len(parts.peers),
            feeds=len(parts.feeds),
            windows=len(parts.hub.windows),
            waiting_sends=parts.appender.waiting,
            shedding=parts.hub.relief.level,
            since_start=now.values,
            lately={name: value - before.values[name] for name, value in now.values.items()},
            append_counts=_less(now.append, before.append),
            delivery_counts=_less(now.delivery, before.delivery),
            busiest=busiest,
        )

    async def _busiest(self) -> tuple[BusyHere, ...]:
        best: list[Feed] = []
        stirred = self._parts.hub.ways.stirred
        for first in range(0, len(stirred), RANKED_AT_ONCE):
            best = nlargest(MOST_BUSY, (*best, *stirred[first : first + RANKED_AT_ONCE]), key=_rate)
            await asyncio.sleep(0)
        return tuple(_busy(feed) for feed in best if _rate(feed) > 0)


class _Counts:
    """What was counted until now."""

    def __init__(self, metrics: Metrics) -> None:
        self.at = time.monotonic()
        self.values: dict[str, int] = {name: getattr(metrics, name).value for name in COUNTED}
        self.append = metrics.append_seconds.counts
        self.delivery = metrics.delivery_seconds.counts


def _less(now: tuple[int, ...], before: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(now, before, strict=True))


def _rate(feed: Feed) -> float:
    return feed.ruling.rate


def _busy(feed: Feed) -> BusyHere:
    decision = feed.decision
    return BusyHere(
        cid=feed.cid,
        rate=round(_rate(feed), 3),
        members=feed.head.members,
        setting=str(feed.head.settings.mode),
        mode=decision.mode.value,
        why=decision.why,
        busy=decision.standing.busy,
        pushed=len(feed.pushed),
        gathered=len(feed.gathered),
        notified=len(feed.noticed),
        told=len(feed.away),
    )
