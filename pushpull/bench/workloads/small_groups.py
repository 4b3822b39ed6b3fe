"""Small groups: everybody connected, push and ack, as fast as it goes.

Every device acknowledges every delivery at once, with a frame of its own: the dearest way the contract allows.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from pushpull.bench.checks import wrong_deliveries
from pushpull.bench.figures import Figure, Outcome, costs, limits, times
from pushpull.bench.stage import SETTLE_S, Stage, groups_of, make, uids

NAME: Final = "small groups"
ABOUT: Final = "groups of ten, push and ack, as fast as it goes"
MOST: Final = 1_000_000
PATIENCE_S: Final = 30.0
WARM_UP_S: Final = 0.5


async def run(stage: Stage) -> Outcome:
    scale = stage.scale
    users = uids(scale.groups * scale.group_size)
    groups = groups_of(users, scale.group_size)
    routes = [(members[0], cid) for cid, members in groups.items()]
    async with stage.both() as (service, load):
        stage.tell("connecting")
        await make(service, groups)
        await load.behave("at_once", pulls=True)
        await load.connect(service, users, together=scale.group_size)
        order = {"size": scale.body_bytes, "receivers": scale.group_size, "in_flight": scale.groups_in_flight}
        warm = await load.send_delivered(routes, seconds=min(WARM_UP_S, scale.groups_s), most=MOST, **order)
        await load.has_seen("items", warm * scale.group_size, within_s=PATIENCE_S)
        await asyncio.sleep(SETTLE_S)
        await load.restart_counts()
        before = await service.metrics()
        stage.tell("sending")
        meter = stage.meter(service, load)
        began = time.monotonic()
        sent = await load.send_delivered(routes, seconds=scale.groups_s, most=MOST, **order)
        deliveries = sent * scale.group_size
        await load.has_seen("items", deliveries, within_s=PATIENCE_S)
        seconds = time.monotonic() - began
        busy = meter.read()
        await asyncio.sleep(SETTLE_S)  # the acks' cursors are written: part of the price
        usage, totals = meter.read(), await load.totals()
        acked = int((await service.metrics())["acks_total"] - before["acks_total"])
    wrong = wrong_deliveries("small groups", totals, deliveries)
    if totals.acked < totals.frames:
        wrong.append(f"small groups: {totals.acked} acks of {totals.frames} frames were sent")
    return Outcome(
        figures=[
            Figure(name="acked deliveries", value=deliveries / seconds, unit="/s", at_least=15_000),
            *costs(usage, deliveries, "acked delivery", at_most=40),
            *times("delivery", totals.delivery),
            Figure(name="frames per delivery", value=totals.frames / max(1, deliveries), unit=""),
            Figure(name="acks taken per delivery", value=acked / max(1, deliveries), unit=""),
        ],
        wrong=wrong,
        notes=limits(busy, "small groups", stage.cores),
        commands={"small groups": dict(usage.redis.calls)},
    )
