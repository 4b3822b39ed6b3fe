"""Offline notification: a busy group of which most are away. What telling them costs, and that it is the same for ten
times the messages.

Once with a webhook and once without, at each rate: Redis' commands for notification are the difference. Members who
are there take what comes; what they have received takes a notification back, so that they are not told.
"""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Final

from pushpull.bench.figures import Figure, Outcome, limits
from pushpull.bench.meter import Usage
from pushpull.bench.receiver import Receiver, receiving
from pushpull.bench.stage import Stage, make, uids

NAME: Final = "offline"
ABOUT: Final = "most members of a busy group are away"
CID: Final = "away"
SENDERS: Final = 20
BATCH: Final = 500
DELAYS: Final = 3.3
"""A stretch lasts so many delays: three looks, and a while for the last."""
SLOWER: Final = 10
PATIENCE_S: Final = 15.0
SECRET: Final = base64.b64encode(b"a key of no importance, 32 bytes").decode()


@dataclass(frozen=True, slots=True)
class _Stretch:
    usage: Usage
    jobs: float = 0.0
    calls: int = 0
    told: int = 0
    wrong: tuple[str, ...] = ()


async def run(stage: Stage) -> Outcome:
    parts = [await _at(stage, stage.scale.offline_per_s / SLOWER), await _at(stage, stage.scale.offline_per_s)]
    return Outcome(
        figures=[figure for part in parts for figure in part.figures],
        wrong=[wrong for part in parts for wrong in part.wrong],
        notes=[note for part in parts for note in part.notes],
        commands={name: calls for part in parts for name, calls in part.commands.items()},
    )


async def _at(stage: Stage, per_s: float) -> Outcome:
    scale, name = stage.scale, f"{per_s:g} msg/s"
    plain = await _stretch(stage, per_s, None)
    async with receiving() as receiver:
        with_hook = await _stretch(stage, per_s, receiver)
    usage, minutes = with_hook.usage, with_hook.usage.seconds / 60
    looks = math.floor(usage.seconds / scale.offline_delay_s) + 1
    most_calls = _calls(scale.offline_members - scale.offline_readers, looks)
    more = usage.redis.commands - plain.usage.redis.commands * usage.seconds / plain.usage.seconds
    return Outcome(
        figures=[
            Figure(name=f"{name}: jobs", value=with_hook.jobs / minutes, unit="/min", at_most=looks / minutes),
            Figure(name=f"{name}: calls of the webhook", value=float(with_hook.calls), unit="", at_most=most_calls),
            Figure(name=f"{name}: users told", value=float(with_hook.told), unit=""),
            Figure(name=f"{name}: redis commands for it", value=more / minutes, unit="/min"),
            Figure(name=f"{name}: server with a webhook", value=usage.server_cores, unit="cores"),
            Figure(name=f"{name}: server without one", value=plain.usage.server_cores, unit="cores"),
            Figure(name=f"{name}: redis with a webhook", value=usage.redis_cores, unit="cores"),
            Figure(name=f"{name}: redis without one", value=plain.usage.redis_cores, unit="cores"),
        ],
        wrong=[f"{name}: {wrong}" for wrong in with_hook.wrong],
        notes=limits(usage, name, stage.cores),
        commands={f"{name}, told": dict(usage.redis.calls), f"{name}, not told": dict(plain.usage.redis.calls)},
    )


def _calls(away: int, looks: int) -> float:
    """Each batch in one, and one at each look for members who are there and fell behind."""
    return float(math.ceil(away / BATCH) + looks)


async def _stretch(stage: Stage, per_s: float, receiver: Receiver | None) -> _Stretch:
    scale, users = stage.scale, uids(stage.scale.offline_members)
    async with stage.both(**_settings(stage, receiver)) as (service, load):
        await make(service, {CID: users}, settings={"mode": "notify", "offline": "all"})
        await load.behave("delayed", pulls=True)
        await load.connect(service, users[: scale.offline_readers])
        stage.tell(f"{per_s:g} msg/s, {'a webhook' if receiver else 'no webhook'}")
        meter = stage.meter(service, load)
        routes = [(uid, CID) for uid in users[: min(SENDERS, scale.offline_readers)]]
        seconds = DELAYS * scale.offline_delay_s
        await load.send_at_rate(routes, size=scale.body_bytes, seconds=seconds, per_s=per_s)
        usage, metrics = meter.read(), await service.metrics()
        if receiver is None:
            return _Stretch(usage)
        jobs = sum(count for name, count in metrics.items() if name.startswith("offline_jobs_total"))
        calls, told = receiver.calls, len(receiver.told)
        away = users[scale.offline_readers :]
        await receiver.has_told(len(away), within_s=PATIENCE_S)
        return _Stretch(usage, jobs, calls, told, _wrong(receiver, away))


def _settings(stage: Stage, receiver: Receiver | None) -> dict[str, str]:
    if receiver is None:
        return {}
    return {
        "OFFLINE__WEBHOOK_URL": receiver.url,
        "OFFLINE__WEBHOOK_SECRET": SECRET,
        "OFFLINE__DELAY_S": str(stage.scale.offline_delay_s),
        "OFFLINE__WITHDRAW_BY": "delivered",
        "OFFLINE__BATCH": str(BATCH),
    }


def _wrong(receiver: Receiver, away: list[str]) -> tuple[str, ...]:
    """Who is away reads nothing, and so is told once."""
    times = {uid: receiver.told[uid] for uid in away if receiver.told[uid] != 1}
    return (f"{len(times)} of {len(away)} absent members were not told once",) if times else ()
