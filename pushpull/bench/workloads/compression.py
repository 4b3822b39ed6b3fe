"""Compression: the hot group served by gathered pushes, to devices that inflate and to devices that do not.

What it shows: bytes on the wire, and what they cost the service, for a page that is compressed once for all.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from pushpull.bench.checks import wrong_deliveries
from pushpull.bench.figures import MICRO, Figure, Outcome, costs, limits
from pushpull.bench.stage import SETTLE_S, Stage, make, uids

NAME: Final = "compression"
ABOUT: Final = "a page for many, plain and compressed once"
CID: Final = "hot"
SENDERS: Final = 100
WINDOW_MS: Final = 500
PATIENCE_S: Final = 60.0
SHRINKS: Final = 2.0
DEARER: Final = 1.2
"""Times the plain page's cost: no dearer, as far as that can be told from noise."""


@dataclass(frozen=True, slots=True)
class Way:
    """What came of one kind of devices."""

    message_bytes: float  # received, all told
    page_us: float  # of the service's processor time
    figures: list[Figure]
    wrong: list[str]
    notes: list[str]


async def run(stage: Stage) -> Outcome:
    plain = await _way(stage, "plain", deflates=False)
    small = await _way(stage, "compressed", deflates=True)
    shrunk = plain.message_bytes / max(1.0, small.message_bytes)
    alike = [] if shrunk > 1 else ["compressed pages are as large as plain ones"]
    return Outcome(
        figures=[
            Figure(name="plain bytes for each compressed", value=shrunk, unit="", at_least=SHRINKS),
            Figure(
                name="compressed: server CPU per page",
                value=small.page_us,
                unit="µs",
                at_most=DEARER,
                floor=plain.page_us,
            ),
            *plain.figures,
            *small.figures,
        ],
        wrong=[*plain.wrong, *small.wrong, *alike],
        notes=[*plain.notes, *small.notes],
    )


async def _way(stage: Stage, name: str, *, deflates: bool) -> Way:
    scale = stage.scale
    async with stage.both() as (service, load):
        users = uids(scale.hot_members)
        stage.tell(f"connecting, {name}")
        await make(service, {CID: users}, settings={"mode": "push", "push_window_ms": WINDOW_MS})
        await load.behave("delayed", pulls=False, deflates=deflates)
        await load.connect(service, users)
        stage.tell(f"sending, {name}")
        await load.restart_counts()
        meter = stage.meter(service, load)
        sent = await load.send_at_rate(
            [(uid, CID) for uid in users[:SENDERS]],
            size=scale.body_bytes,
            seconds=scale.compression_s,
            per_s=scale.hot_per_s,
        )
        await load.everyone_got(sent, within_s=PATIENCE_S)
        usage = meter.read()
        await asyncio.sleep(SETTLE_S)
        totals = await load.totals()
    pages = max(1, totals.frames)
    return Way(
        message_bytes=totals.received_bytes / max(1, totals.items),
        page_us=usage.server_cpu_s / pages * MICRO,
        figures=[
            Figure(name=f"{name}: messages in a page", value=totals.items / pages, unit=""),
            Figure(name=f"{name}: bytes per message", value=totals.received_bytes / max(1, totals.items), unit="bytes"),
            *costs(usage, pages, f"{name} page"),
        ],
        wrong=wrong_deliveries(name, totals, sent * scale.hot_members),
        notes=limits(usage, name, stage.cores),
    )
