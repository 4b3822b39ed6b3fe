"""Fan-out: one pushed group, everybody connected. The floor sends the same bytes to as many connections.

The floor reads nothing, so the devices hold their acks back while this is compared (a setting lets them); what acks
add is stated beside it. A message that travels with others in one frame is one delivery, and `frames per delivery`
says how often that was: a service that cannot keep up would else look cheap.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from pushpull.bench.checks import wrong_deliveries
from pushpull.bench.child import child
from pushpull.bench.figures import MICRO, Figure, Outcome, costs, limits, times
from pushpull.bench.fleet import Fleet
from pushpull.bench.meter import Usage
from pushpull.bench.service import Service
from pushpull.bench.spread import Spread
from pushpull.bench.stage import SETTLE_S, Stage, make, uids
from pushpull.bench.sums import Totals

NAME: Final = "fan-out"
ABOUT: Final = "one pushed group, everybody connected"
CID: Final = "fan"
WARM_UP: Final = 5
SENDERS: Final = 20
PATIENCE_S: Final = 60.0
ALONE: Final = 0.95
"""Frames per delivery: fewer, and a delivery is not what it is for the floor."""
ACKED_SHARE: Final = 0.25
"""Of the rate, for the stretch with acks: each delivery then brings a frame back."""


async def run(stage: Stage) -> Outcome:
    floor_us, floor_times = await _floor(stage)
    async with stage.both(DELIVERY__ACK_WAIT_MS="86400000", DELIVERY__MAX_ACK_PENDING="1000000") as (service, load):
        await _connect(stage, service, load)
        messages, usage, totals = await _stretch(stage, service, load, stage.scale.fan_per_s)
        await load.ack_all(CID)
        await asyncio.sleep(SETTLE_S)
        await load.behave("at_once", pulls=False)
        acked, usage_acked, totals_acked = await _stretch(stage, service, load, stage.scale.fan_per_s * ACKED_SHARE)
    devices = stage.scale.fan_devices
    deliveries = messages * devices
    return Outcome(
        figures=[
            *costs(usage, deliveries, "delivery", at_most=1.3, floor=floor_us),
            *times("delivery", totals.delivery, p99_at_most=1.5, floor=floor_times),
            Figure(name="deliveries", value=deliveries / usage.seconds, unit="/s"),
            Figure(name="frames per delivery", value=totals.frames / deliveries, unit=""),
            Figure(name="server CPU per frame", value=usage.server_cpu_s / max(1, totals.frames) * MICRO, unit="µs"),
            Figure(name="floor CPU per delivery", value=floor_us, unit="µs"),
            Figure(name="floor p99", value=floor_times.summary().p99_ms, unit="ms"),
            Figure(
                name="server CPU per delivery with ack",
                value=usage_acked.server_cpu_s / (acked * devices) * MICRO,
                unit="µs",
            ),
        ],
        wrong=[
            *wrong_deliveries("deliveries", totals, deliveries),
            *wrong_deliveries("acked deliveries", totals_acked, acked * devices),
        ],
        notes=[*limits(usage, "fan-out", stage.cores), *_merged(totals.frames / deliveries)],
        commands={"fan-out": dict(usage.redis.calls)},
    )


def _merged(frames_per_delivery: float) -> list[str]:
    if frames_per_delivery > ALONE:
        return []
    return [f"the service did not keep up: {1 / frames_per_delivery:.1f} messages a frame, where the floor sends one"]


async def _floor(stage: Stage) -> tuple[float, Spread]:
    """µs of processor time a delivery, and how long deliveries took."""
    scale = stage.scale
    stage.tell("the floor")
    async with child("pushpull.bench.floor") as floor, stage.fleet() as load:
        port = await floor.ask("listen", connections=scale.fan_devices)
        accepting = asyncio.create_task(floor.ask("accept", connections=scale.fan_devices))
        await load.connect_floor(port, scale.fan_devices)
        await accepting
        await load.behave("never", pulls=False)
        send = partial(
            floor.ask,
            "send",
            within_s=scale.fan_s + PATIENCE_S,
            cid=CID,
            size=scale.body_bytes,
            per_s=scale.fan_per_s,
        )
        await send(first=1, messages=WARM_UP)
        await load.everyone_got(WARM_UP, within_s=PATIENCE_S)
        await load.restart_counts()
        messages = max(1, round(scale.fan_per_s * scale.fan_s))
        used_s = await send(first=WARM_UP + 1, messages=messages)
        await load.everyone_got(messages, within_s=PATIENCE_S)
        return used_s / (messages * scale.fan_devices) * MICRO, (await load.totals()).delivery


async def _connect(stage: Stage, service: Service, load: Fleet) -> None:
    users = uids(stage.scale.fan_devices)
    stage.tell("connecting")
    await make(service, {CID: users}, settings={"mode": "push"})
    await load.behave("never", pulls=False)
    await load.connect(service, users)
    await _send(stage, load, per_s=10.0, messages=WARM_UP)


async def _stretch(stage: Stage, service: Service, load: Fleet, per_s: float) -> tuple[int, Usage, Totals]:
    """Send at a rate until everybody has everything."""
    stage.tell(f"sending {per_s:g} messages a second")
    await load.restart_counts()
    meter = stage.meter(service, load)
    messages = await _send(stage, load, per_s=per_s, messages=max(1, round(per_s * stage.scale.fan_s)))
    return messages, meter.read(), await load.totals()


async def _send(stage: Stage, load: Fleet, *, per_s: float, messages: int) -> int:
    routes = [(uid, CID) for uid in uids(stage.scale.fan_devices)[:SENDERS]]
    before = (await load.totals()).items
    sent = await load.send_at_rate(routes, size=stage.scale.body_bytes, seconds=messages / per_s, per_s=per_s)
    await load.everyone_got(before // stage.scale.fan_devices + sent, within_s=PATIENCE_S)
    return sent
