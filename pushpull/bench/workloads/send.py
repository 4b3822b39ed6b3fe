"""Sends, answered once they are stored in a Redis with an append-only file.

Over WebSocket each connection is a user who writes into a conversation of its own and gets its message back, as the
contract has it; over HTTP nobody is connected.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from pushpull.bench.checks import wrong_answers, wrong_posts
from pushpull.bench.figures import Figure, Outcome, costs, limits, times
from pushpull.bench.fleet import Fleet
from pushpull.bench.service import Service
from pushpull.bench.stage import SETTLE_S, Stage, make, uids

NAME: Final = "send"
ABOUT: Final = "durable sends, over WebSocket and over HTTP"
MOST: Final = 1_000_000
WARM_UP_S: Final = 0.5


async def run(stage: Stage) -> Outcome:
    users = uids(stage.scale.send_connections)
    async with stage.both() as (service, load):
        stage.tell("connecting")
        await make(service, {f"of-{uid}": [uid] for uid in users})
        await load.behave("delayed", pulls=True)
        await load.connect(service, users)
        websocket = await _over_websocket(stage, service, load)
        await load.hang_up()
        http = await _over_http(stage, service, load)
    return Outcome(
        figures=[*websocket.figures, *http.figures],
        wrong=[*websocket.wrong, *http.wrong],
        notes=[*websocket.notes, *http.notes],
        commands={**websocket.commands, **http.commands},
    )


async def _over_websocket(stage: Stage, service: Service, load: Fleet) -> Outcome:
    scale = stage.scale
    routes = [(uid, f"of-{uid}") for uid in uids(scale.send_connections)]
    order = {"size": scale.body_bytes, "most": MOST, "in_flight": scale.send_in_flight}
    await load.send_answered(routes, seconds=min(WARM_UP_S, scale.send_s), **order)
    await asyncio.sleep(SETTLE_S)
    await load.restart_counts()
    stage.tell("sending over WebSocket")
    meter = stage.meter(service, load)
    began = time.monotonic()
    sent = await load.send_answered(routes, seconds=scale.send_s, **order)
    seconds = time.monotonic() - began
    busy = meter.read()
    await asyncio.sleep(SETTLE_S)
    usage, totals = meter.read(), await load.totals()
    return Outcome(
        figures=[
            Figure(name="WebSocket sends", value=sent / seconds, unit="/s", at_least=10_000),
            *times("WebSocket send", totals.answer, p99_at_most=100),
            *costs(usage, sent, "WebSocket send", at_most=60),
        ],
        wrong=wrong_answers("sends over WebSocket", totals, sent),
        notes=limits(busy, "sends over WebSocket", stage.cores),
        commands={"WebSocket sends": dict(usage.redis.calls)},
    )


async def _over_http(stage: Stage, service: Service, load: Fleet) -> Outcome:
    scale = stage.scale
    targets = [(f"of-{uid}", uid) for uid in uids(scale.send_connections)]
    stage.tell("sending over HTTP")
    meter = stage.meter(service, load)
    began = time.monotonic()
    posted = await load.post(
        service, targets, size=scale.body_bytes, batch=1, lanes=scale.lanes, seconds=scale.send_s, most=MOST
    )
    seconds, usage = time.monotonic() - began, meter.read()
    return Outcome(
        figures=[
            Figure(name="HTTP sends", value=posted.stored / seconds, unit="/s", at_least=3_000),
            *times("HTTP send", posted.times),
            *costs(usage, posted.stored, "HTTP send"),
        ],
        wrong=wrong_posts("sends over HTTP", posted, 1),
        notes=limits(usage, "sends over HTTP", stage.cores),
        commands={"HTTP sends": dict(usage.redis.calls)},
    )
