"""Slow readers: a pushed group of whom some read at 1 KB/s. What do the others notice, and what does the node keep?

First the others alone, then with the slow ones connected and far behind, in the same run on the same service: once
message by message, once with gathered pushes. In the end the slow ones read as fast as they can, and have everything.

The service's buffers are smaller than by default, so that they are full within seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from pushpull.bench.checks import wrong_deliveries
from pushpull.bench.cpu import KIB, rss_bytes
from pushpull.bench.figures import Figure, Outcome, limits, times
from pushpull.bench.fleet import Fleet, fleet
from pushpull.bench.meter import Usage
from pushpull.bench.service import Service
from pushpull.bench.stage import SETTLE_S, Stage, make, uids
from pushpull.bench.sums import Totals

NAME: Final = "slow readers"
ABOUT: Final = "a pushed group of whom some read at 1 KB/s"
CID: Final = "slow"
SENDERS: Final = 20
WINDOW_MS: Final = 500
BUFFER_BYTES: Final = 256 * KIB
"""`limits.buffer_bytes`: a quarter of the default, and no less than a page that is pulled (`delivery.page_bytes`)."""
READ_BYTES_PER_S: Final = 1_024.0
PULL_LIMIT: Final = 100
LATENCY: Final = 1.5
"""Times their latency without the slow ones."""
WARM_UP: Final = 20
PATIENCE_S: Final = 60.0
CATCH_UP_S: Final = 120.0
LOOK_S: Final = 0.1
COUNTED: Final = ("demotions", "promotions", "redeliveries", "exhausted")


@dataclass(frozen=True, slots=True)
class Way:
    name: str
    settings: dict[str, Any]
    per_s: float
    size: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """What the others got, and what it cost."""

    sent: int
    totals: Totals
    usage: Usage


class Peak:
    """The most memory that the service has had while it was watched."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.bytes = rss_bytes(service.pid)

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            self.bytes = max(self.bytes, rss_bytes(self._service.pid))
            await asyncio.sleep(LOOK_S)


async def run(stage: Stage) -> Outcome:
    scale = stage.scale
    ways = (
        Way("pushes", {"mode": "push"}, scale.slow_push_per_s, scale.slow_push_bytes),
        Way("gathered pushes", {"mode": "push", "push_window_ms": WINDOW_MS}, scale.hot_per_s, scale.body_bytes),
    )
    outcomes = [await _way(stage, way) for way in ways]
    return Outcome(
        figures=[figure for outcome in outcomes for figure in outcome.figures],
        wrong=[what for outcome in outcomes for what in outcome.wrong],
        notes=[note for outcome in outcomes for note in outcome.notes],
    )


async def _way(stage: Stage, way: Way) -> Outcome:
    everyone = uids(stage.scale.slow_members)
    slow_ones, others = everyone[: stage.scale.slow_readers], everyone[stage.scale.slow_readers :]
    async with stage.both(LIMITS__BUFFER_BYTES=str(BUFFER_BYTES)) as (service, load), fleet(1) as slow:
        stage.tell(f"{way.name}: connecting")
        await make(service, {CID: everyone}, settings=way.settings)
        await load.behave("delayed", pulls=True)
        await slow.behave("at_once", pulls=True, pull_limit=PULL_LIMIT)
        await load.connect(service, others)
        await _send(load, others, way, WARM_UP)
        alone = await _stretch(stage, service, load, others, way, "without")
        await slow.connect(service, slow_ones, narrow=True)
        await asyncio.sleep(SETTLE_S)
        return await _with_slow_ones(stage, service, (load, others), (slow, len(slow_ones)), way, alone)


async def _with_slow_ones(
    stage: Stage, service: Service, most: tuple[Fleet, Sequence[str]], few: tuple[Fleet, int], way: Way, alone: Stretch
) -> Outcome:
    """`most`: the others, and who they are; `few`: the slow ones, and how many. `alone`: the others without them."""
    (load, others), (slow, count) = most, few
    before, counted = rss_bytes(service.pid), await service.metrics()
    behind_peak, catching_up_peak = Peak(service), Peak(service)
    await slow.restart_counts()
    await slow.read_at(READ_BYTES_PER_S)
    async with behind_peak.watched():
        beside = await _stretch(stage, service, load, others, way, "with")
        head = (await service.server.get_conversation(CID))["head"]
        behind, lacked = await slow.behind(CID, head), beside.sent * count - (await slow.totals()).items
    async with catching_up_peak.watched():
        stage.tell(f"{way.name}: the slow ones catch up")
        await slow.read_at(0)
        began = time.monotonic()
        await slow.has_seen("items", beside.sent * count, within_s=CATCH_UP_S)
        caught_up_s = time.monotonic() - began
    await asyncio.sleep(SETTLE_S)
    still_behind, caught, after = await slow.behind(CID, head), await slow.totals(), await service.metrics()
    return Outcome(
        figures=[
            *times(f"{way.name}, without: delivery", alone.totals.delivery),
            *times(
                f"{way.name}, with: delivery",
                beside.totals.delivery,
                p50_at_most=LATENCY,
                p99_at_most=LATENCY,
                floor=alone.totals.delivery,
            ),
            *(
                Figure(
                    name=f"{way.name}: memory for a slow reader, {when}",
                    value=(peak.bytes - before) / count / KIB,
                    unit="KiB",
                    at_most=BUFFER_BYTES / KIB,
                )
                for when, peak in (("behind", behind_peak), ("catching up", catching_up_peak))
            ),
            Figure(name=f"{way.name}, without: server", value=alone.usage.server_cores, unit="cores"),
            Figure(name=f"{way.name}, with: server", value=beside.usage.server_cores, unit="cores"),
            Figure(name=f"{way.name}: slow readers behind", value=behind / count, unit="of all"),
            Figure(name=f"{way.name}: messages each lacked", value=lacked / count, unit=""),
            Figure(name=f"{way.name}: all caught up after", value=caught_up_s, unit="s"),
            *(
                Figure(name=f"{way.name}: {name}", value=after[f"{name}_total"] - counted[f"{name}_total"], unit="")
                for name in COUNTED
            ),
        ],
        wrong=[
            *wrong_deliveries(f"{way.name}, without", alone.totals, alone.sent * len(others)),
            *wrong_deliveries(f"{way.name}, with", beside.totals, beside.sent * len(others)),
            *wrong_deliveries(f"{way.name}, slow readers", caught, beside.sent * count),
            *([f"{way.name}: {still_behind} slow readers are behind {head}"] if still_behind else []),
        ],
        notes=[
            *limits(alone.usage, f"{way.name}, without", stage.cores),
            *limits(beside.usage, f"{way.name}, with", stage.cores),
            *([] if behind == count else [f"{way.name}: {count - behind} of {count} slow readers kept up"]),
        ],
    )


async def _stretch(stage: Stage, service: Service, load: Fleet, others: Sequence[str], way: Way, name: str) -> Stretch:
    stage.tell(f"{way.name}, {name}")
    await load.restart_counts()
    meter = stage.meter(service, load)
    sent = await _send(load, others, way, max(1, round(way.per_s * stage.scale.slow_s)))
    usage = meter.read()
    await asyncio.sleep(SETTLE_S)
    return Stretch(sent, await load.totals(), usage)


async def _send(load: Fleet, others: Sequence[str], way: Way, messages: int) -> int:
    """Send until all the others have it."""
    routes = [(uid, CID) for uid in others[:SENDERS]]
    before = (await load.totals()).items
    sent = await load.send_at_rate(routes, size=way.size, seconds=messages / way.per_s, per_s=way.per_s)
    await load.everyone_got(before // len(others) + sent, within_s=PATIENCE_S)
    return sent
