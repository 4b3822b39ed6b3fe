"""Batches: `POST /v1/messages` by a backend, into many conversations."""

from __future__ import annotations

import time
from typing import Final

from pushpull.bench.checks import wrong_posts
from pushpull.bench.figures import Figure, Outcome, costs, limits, times
from pushpull.bench.stage import Stage, make

NAME: Final = "batch send"
ABOUT: Final = "messages by the hundred over HTTP"
CONVERSATIONS: Final = 50
MOST_CALLS: Final = 20_000


async def run(stage: Stage) -> Outcome:
    scale = stage.scale
    targets = [(f"batch-{number}", f"u-{number}") for number in range(CONVERSATIONS)]
    async with stage.both() as (service, load):
        await make(service, {cid: [uid] for cid, uid in targets})
        stage.tell("sending")
        meter = stage.meter(service, load)
        began = time.monotonic()
        posted = await load.post(
            service,
            targets,
            size=scale.body_bytes,
            batch=scale.batch,
            lanes=scale.batch_lanes,
            seconds=scale.batch_s,
            most=MOST_CALLS,
        )
        seconds, usage = time.monotonic() - began, meter.read()
    return Outcome(
        figures=[
            Figure(name="messages", value=posted.stored / seconds, unit="/s", at_least=15_000),
            *times("call", posted.times),
            *costs(usage, posted.stored, "message"),
        ],
        wrong=wrong_posts("batches", posted, scale.batch),
        notes=limits(usage, "batches", stage.cores),
        commands={"batches": dict(usage.redis.calls)},
    )
