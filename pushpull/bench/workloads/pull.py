"""Pulls: pages of a range that the node holds, of one that it has to read, and one cold page for many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from pushpull.bench.checks import troubles, wrong_pages
from pushpull.bench.figures import Figure, Outcome, costs, limits, times
from pushpull.bench.fleet import Fleet
from pushpull.bench.service import Service
from pushpull.bench.stage import SETTLE_S, Stage, make, uids

NAME: Final = "pull"
ABOUT: Final = "pages of 50 messages, from the tail and from the log"
CID: Final = "pulled"
HELD: Final = 4_000
"""Of the newest messages: surely in the tail, which holds `delivery.tail_messages` (5,000) or 2 MiB of them."""
BELOW: Final = 6_000
"""From the head down: surely not in the tail any more."""
MOST: Final = 1_000_000
WRITERS: Final = 2


async def run(stage: Stage) -> Outcome:
    scale = stage.scale
    users = uids(max(scale.pull_devices, scale.flight_devices))
    async with stage.both() as (service, load):
        stage.tell("connecting")
        await make(service, {CID: users}, settings={"mode": "notify"})
        await load.behave("never", pulls=False, heads_only=True)
        await load.connect(service, users)
        stage.tell("writing the log")
        head = await _fill(stage, service, load)
        # Hot: the ranges are shared, as they are where many come for the same news. Cold: every place has its own.
        hot_starts = list(range(head - HELD, head - scale.page + 1, scale.page))
        cold_starts = list(range(0, max(1, head - BELOW), 7))
        hot = await _stretch(stage, service, load, "hot", hot_starts, at_least=15_000)
        cold = await _stretch(stage, service, load, "cold", cold_starts, at_least=2_000)
        flight = await _flight(stage, service, load, after=3)
    return Outcome(
        figures=[*hot.figures, *cold.figures, *flight.figures],
        wrong=[*hot.wrong, *cold.wrong, *flight.wrong],
        notes=[*hot.notes, *cold.notes],
        commands={**hot.commands, **cold.commands, **flight.commands},
    )


async def _fill(stage: Stage, service: Service, load: Fleet) -> int:
    """The head of a log that was written while everybody was connected, so that the tail holds its end."""
    scale = stage.scale
    await load.post(
        service,
        [(CID, uid) for uid in uids(WRITERS)],
        size=scale.body_bytes,
        batch=scale.batch,
        lanes=WRITERS,
        seconds=120.0,
        most=scale.pull_messages // scale.batch,
    )
    await asyncio.sleep(SETTLE_S)
    return int((await service.server.get_conversation(CID))["head"])


async def _stretch(
    stage: Stage, service: Service, load: Fleet, name: str, starts: Sequence[int], *, at_least: float
) -> Outcome:
    scale = stage.scale
    stage.tell(f"pulling {name} pages")
    await load.restart_counts()
    meter = stage.meter(service, load)
    began = time.monotonic()
    pulled = await load.pull(CID, starts, limit=scale.page, devices=scale.pull_devices, seconds=scale.pull_s, most=MOST)
    seconds, usage = time.monotonic() - began, meter.read()
    totals = await load.totals()
    return Outcome(
        figures=[
            Figure(name=f"{name} pages", value=pulled.pages / seconds, unit="/s", at_least=at_least),
            *times(f"{name} page", pulled.times),
            *costs(usage, pulled.pages, f"{name} page"),
        ],
        wrong=[*wrong_pages(f"{name} pages", pulled), *troubles(f"{name} pages", totals)],
        notes=limits(usage, f"{name} pages", stage.cores),
        commands={f"{name} pages": dict(usage.redis.calls)},
    )


async def _flight(stage: Stage, service: Service, load: Fleet, *, after: int) -> Outcome:
    """Everybody asks for a page that nobody has asked for before."""
    stage.tell("one cold page for all")
    before = await service.metrics()
    meter = stage.meter(service, load)
    pulled = await load.pull_at_once(CID, after, limit=stage.scale.page)
    usage = meter.read()
    reads = (await service.metrics())["log_reads_total"] - before["log_reads_total"]
    asked = f"{pulled.pages} ask for one cold page"
    return Outcome(
        figures=[
            Figure(name=f"reads when {asked}", value=reads, unit="reads", at_most=1),
            *times("one cold page for all", pulled.times),
        ],
        wrong=wrong_pages(asked, pulled),
        commands={asked: dict(usage.redis.calls)},
    )
