"""The hot group: everybody connected, many messages a second, and everybody ends with all of them.

Twice: with members who pull on notice, and with members who are served by gathered pushes.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from pushpull.bench.checks import wrong_deliveries
from pushpull.bench.figures import Figure, Outcome, costs, limits, times
from pushpull.bench.fleet import Fleet
from pushpull.bench.service import Service
from pushpull.bench.stage import SETTLE_S, Stage, make, uids

NAME: Final = "hot group"
ABOUT: Final = "everybody connected, many messages a second"
CID: Final = "hot"
SENDERS: Final = 100
WINDOW_MS: Final = 500
PATIENCE_S: Final = 60.0
STALE_MS: Final = 1_200.0
CORES: Final = 0.6
REDIS_CORES: Final = 0.1
KEEPS_UP_S: Final = 2.0
"""A service that keeps up has nothing left to deliver so long after the last send."""


async def run(stage: Stage) -> Outcome:
    pulled = await _way(stage, "notice and pull", {"mode": "notify"}, pulls=True)
    gathered = await _way(stage, "gathered pushes", {"mode": "push", "push_window_ms": WINDOW_MS}, pulls=False)
    return Outcome(
        figures=[*pulled.figures, *gathered.figures],
        wrong=[*pulled.wrong, *gathered.wrong],
        notes=[*pulled.notes, *gathered.notes],
        commands={**pulled.commands, **gathered.commands},
    )


async def _way(stage: Stage, way: str, settings: dict[str, Any], *, pulls: bool) -> Outcome:
    """One way of delivery, at both rates."""
    scale = stage.scale
    async with stage.both() as (service, load):
        users = uids(scale.hot_members)
        stage.tell("connecting")
        await make(service, {CID: users}, settings=settings)
        await load.behave("delayed", pulls=pulls)
        await load.connect(service, users)
        hot = await _stretch(stage, service, load, way, per_s=scale.hot_per_s, seconds=scale.hot_s, burst=False)
        burst = await _stretch(stage, service, load, way, per_s=scale.burst_per_s, seconds=scale.burst_s, burst=True)
        head = (await service.server.get_conversation(CID))["head"]
        behind = await load.behind(CID, head)
    return Outcome(
        figures=[*hot.figures, *burst.figures],
        wrong=[*hot.wrong, *burst.wrong, *([f"{way}: {behind} members are behind {head}"] if behind else [])],
        notes=[*hot.notes, *burst.notes],
        commands={**hot.commands, **burst.commands},
    )


async def _stretch(
    stage: Stage, service: Service, load: Fleet, way: str, *, per_s: float, seconds: float, burst: bool
) -> Outcome:
    name = f"{way}, {per_s:g} msg/s"
    stage.tell(name)
    await load.restart_counts()
    meter = stage.meter(service, load)
    routes = [(uid, CID) for uid in uids(stage.scale.hot_members)[:SENDERS]]
    sent = await load.send_at_rate(routes, size=stage.scale.body_bytes, seconds=seconds, per_s=per_s)
    last_sent = time.monotonic()
    await load.everyone_got(sent, within_s=PATIENCE_S)
    late_s = time.monotonic() - last_sent
    usage = meter.read()
    await asyncio.sleep(SETTLE_S)
    totals = await load.totals()
    deliveries = sent * stage.scale.hot_members
    return Outcome(
        figures=[
            Figure(name=f"{name}: server", value=usage.server_cores, unit="cores", at_most=None if burst else CORES),
            Figure(name=f"{name}: redis", value=usage.redis_cores, unit="cores", at_most=REDIS_CORES),
            *times(f"{name}: staleness", totals.delivery, p99_at_most=None if burst else STALE_MS),
            Figure(
                name=f"{name}: last delivery after last send",
                value=late_s,
                unit="s",
                at_most=KEEPS_UP_S if burst else None,
            ),
            Figure(name=f"{name}: deliveries", value=deliveries / usage.seconds, unit="/s"),
            Figure(name=f"{name}: notices per message", value=totals.notices / max(1, sent), unit=""),
            Figure(name=f"{name}: pulls per message", value=totals.pulled / max(1, sent), unit=""),
            *costs(usage, deliveries, f"delivery at {name}"),
        ],
        wrong=wrong_deliveries(name, totals, deliveries),
        notes=limits(usage, name, stage.cores),
        commands={name: dict(usage.redis.calls)},
    )
