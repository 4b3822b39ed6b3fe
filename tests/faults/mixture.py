"""Which faults there are, and how they are mixed: one at a time, or two that do not stand in each other's way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial

from tests.faults import faults, redis_faults
from tests.faults.fault import Fault
from tests.faults.faults import Make
from tests.faults.stage import Stage

NODES: Sequence[Make] = (faults.node_killed, faults.node_paused, faults.rolling_restart)
CLIENT_LINES: Sequence[Make] = (
    faults.clients_cut,
    faults.clients_half_closed,
    faults.clients_delayed,
    partial(faults.clients_blocked, for_s=10),
    faults.answers_lost,
)

GROUPS: tuple[Sequence[Make], ...] = (
    NODES,
    CLIENT_LINES,
    (faults.append_replies_lost, faults.redis_lines_cut, faults.redis_lines_delayed, redis_faults.bells_swallowed),
    (
        redis_faults.redis_killed,
        redis_faults.redis_paused,
        redis_faults.memory_full,
        redis_faults.disk_full,
        redis_faults.tail_lost,
        redis_faults.bells_cut,
    ),
)
"""Two of one group are never mixed: they harm the same thing."""

TWO_AT_ONCE = 0.4
"""How often two faults come together."""

BOTH_HEAL_S = 10.0
"""More than one alone may take: what heals one may have to wait for the other."""


def pick(stage: Stage, chance: random.Random, groups: Sequence[Sequence[Make]] = GROUPS) -> Fault:
    """One fault, or two together."""
    if chance.random() >= TWO_AT_ONCE:
        return chance.choice([make for group in groups for make in group])(stage)
    one, other = (chance.choice(group)(stage) for group in chance.sample(groups, 2))
    return both(one, other)


def both(one: Fault, other: Fault) -> Fault:
    """Both begin together and end together."""

    async def begin() -> None:
        await asyncio.gather(one.begin(), other.begin())

    async def end() -> None:
        await asyncio.gather(one.end(), other.end())

    return Fault(
        name=" + ".join(sorted((one.name, other.name))),
        begin=begin,
        end=end,
        lasts_s=max(one.lasts_s, other.lasts_s),
        heal_within_s=max(one.heal_within_s, other.heal_within_s) + BOTH_HEAL_S,
        answers_during=False,
        may_lose_s=one.may_lose_s + other.may_lose_s,
    )
