"""The reconnect storm: the node is killed, and all devices come back with positions, each in many conversations.

In no order: neighbours in a conversation do not come back together, which would be the easier case.
Twice, with conversations of two sizes: what a device costs Redis may not depend on how many members there are.
"""

from __future__ import annotations

import random
from typing import Final

from pushpull.bench.checks import troubles, wrong_deliveries
from pushpull.bench.figures import Figure, Outcome, costs, limits, times
from pushpull.bench.fleet import Fleet
from pushpull.bench.service import Service
from pushpull.bench.stage import Stage, groups_of, make, uids

NAME: Final = "reconnect storm"
ABOUT: Final = "the node is killed, all devices come back at once"
WITHIN_S: Final = 10.0
GROWTH: Final = 1.05
"""What counts as not growing: a feed is opened once a conversation, and larger ones are fewer."""
PROBES: Final = 20
SEED: Final = 1
PATIENCE_S: Final = 30.0


async def run(stage: Stage) -> Outcome:
    few, many = stage.scale.storm_sizes
    first, per_device = await _storm(stage, few)
    second, per_device_many = await _storm(stage, many)
    growth = Figure(
        name=f"redis commands per device, {many} members to {few}",
        value=per_device_many / max(1.0, per_device),
        unit="times",
        at_most=GROWTH,
    )
    return Outcome(
        figures=[*first.figures, *second.figures, growth],
        wrong=[*first.wrong, *second.wrong],
        notes=[*first.notes, *second.notes],
        commands={**first.commands, **second.commands},
    )


async def _storm(stage: Stage, size: int) -> tuple[Outcome, float]:
    """The figures, and Redis' commands per device."""
    users = uids(stage.scale.storm_devices)
    groups = groups_of(users, size, rounds=stage.scale.storm_conversations)
    random.Random(SEED).shuffle(users)  # the members of a conversation do not come back side by side
    name = f"groups of {size}"
    async with stage.both() as (service, load):
        await _connect(stage, service, load, groups, users)
        stage.tell(f"{name}: the storm")
        await service.kill()
        await load.hang_up()
        await load.restart_counts()
        await service.start()
        meter = stage.meter(service, load)
        seconds = await load.reconnect()
        usage, totals = meter.read(), await load.totals()
        wrong = [*troubles(name, totals), *await _all_live(stage, load, groups)]
    devices = len(users)
    outcome = Outcome(
        figures=[
            Figure(name=f"{name}: all live again", value=seconds, unit="s", at_most=WITHIN_S),
            *times(f"{name}: from dialling to live", totals.opening),
            *costs(usage, devices, f"device in {name}"),
        ],
        wrong=wrong,
        notes=limits(usage, f"storm, {name}", stage.cores),
        commands={f"storm, {name}": dict(usage.redis.calls)},
    )
    return outcome, usage.redis.commands / devices


async def _connect(stage: Stage, service: Service, load: Fleet, groups: dict[str, list[str]], users: list[str]) -> None:
    """Everybody is there, and holds a position in a log that is not empty."""
    scale = stage.scale
    stage.tell("making conversations")
    await make(service, groups)
    targets = [(cid, members[0]) for cid, members in groups.items()]
    calls = -(-len(targets) // scale.batch)
    await load.post(service, targets, size=scale.body_bytes, batch=scale.batch, lanes=2, seconds=60.0, most=calls)
    stage.tell("connecting")
    await load.behave("at_once", pulls=True)
    await load.connect(service, users)


async def _all_live(stage: Stage, load: Fleet, groups: dict[str, list[str]]) -> list[str]:
    """What is wrong where a message to some of the groups does not reach all their members."""
    probed = list(groups.items())[:: max(1, len(groups) // PROBES)]
    expected = sum(len(members) for _, members in probed)
    await load.restart_counts()
    routes = [(members[0], cid) for cid, members in probed]
    # One each: the routes are taken by turns.
    await load.send_at_rate(routes, size=stage.scale.body_bytes, seconds=len(probed) / 100, per_s=100.0)
    await load.has_seen("items", expected, within_s=PATIENCE_S)
    return wrong_deliveries("after the storm", await load.totals(), expected)
