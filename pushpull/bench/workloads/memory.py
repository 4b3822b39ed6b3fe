"""Memory: what an idle connection takes in the service, and a stored message in Redis."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from pushpull.bench.checks import wrong_posts
from pushpull.bench.cpu import rss_bytes
from pushpull.bench.figures import Figure, Outcome
from pushpull.bench.redis_stats import memory_usage, read
from pushpull.bench.service import Service
from pushpull.bench.stage import SETTLE_S, Stage, groups_of, make, uids

NAME: Final = "memory"
ABOUT: Final = "an idle connection, and a stored message"
KIB: Final = 1024
CID: Final = "stored"
WARM_UP: Final = 10
"""One in so many devices connects before the measurement, so that what the process needs once is not counted."""
SETTLE_IDLE_S: Final = 1.5


async def run(stage: Stage) -> Outcome:
    one, wrong = await _idle(stage, rounds=1, at_most=16)
    many, also_wrong = await _idle(stage, rounds=stage.scale.idle_conversations, at_most=24)
    stored = await _stored(stage)
    return Outcome(figures=[one, many, *stored.figures], wrong=[*wrong, *also_wrong, *stored.wrong])


async def _idle(stage: Stage, *, rounds: int, at_most: float) -> tuple[Figure, list[str]]:
    """KiB of the service for each connection whose user is in `rounds` conversations."""
    scale = stage.scale
    everyone = uids(scale.idle_devices + scale.idle_devices // WARM_UP)
    first, others = everyone[scale.idle_devices :], everyone[: scale.idle_devices]
    async with stage.both() as (service, load):
        stage.tell("making conversations")
        await make(service, groups_of(others, scale.group_size, rounds=rounds))
        await make(service, {f"first-{cid}": m for cid, m in groups_of(first, scale.group_size, rounds=rounds).items()})
        stage.tell(f"idle connections in {rounds} conversations")
        await load.connect(service, first)
        await asyncio.sleep(SETTLE_IDLE_S)
        before = rss_bytes(service.pid)
        await load.connect(service, others)
        await asyncio.sleep(SETTLE_IDLE_S)
        after = rss_bytes(service.pid)
        live = (await load.totals()).live
    name = f"idle connection in {rounds} conversation{'s' if rounds > 1 else ''}"
    wrong = [f"{name}: {live} devices are live, expected {len(everyone)}"] if live != len(everyone) else []
    return Figure(name=name, value=(after - before) / len(others) / KIB, unit="KiB", at_most=at_most), wrong


async def _stored(stage: Stage) -> Outcome:
    """Redis' memory for messages, as multiples of their bodies."""
    scale = stage.scale
    async with stage.both() as (service, load):
        stage.tell("storing messages")
        await make(service, {CID: ["u-0"]})
        post = partial(
            load.post,
            service,
            [(CID, "u-0")],
            size=scale.body_bytes,
            batch=scale.batch,
            lanes=1,
            seconds=120.0,
        )
        await post(most=1)
        await asyncio.sleep(SETTLE_S)
        used, log = read(service.redis_socket).used_bytes, _log_bytes(service)
        posted = await post(most=max(1, scale.stored_messages // scale.batch))
        await asyncio.sleep(SETTLE_S)
        used = read(service.redis_socket).used_bytes - used
        log = _log_bytes(service) - log
    bodies = posted.stored * scale.body_bytes
    return Outcome(
        figures=[
            Figure(name="redis for the log, per byte of body", value=log / bodies, unit="times", at_most=1.5),
            Figure(name="redis with the idempotency window", value=used / bodies, unit="times", at_most=2.3),
            Figure(name="redis per message", value=used / posted.stored, unit="bytes"),
        ],
        wrong=wrong_posts("stored messages", posted, scale.batch),
    )


def _log_bytes(service: Service) -> int:
    return memory_usage(service.redis_socket, f"{{c:{CID}}}:log")
