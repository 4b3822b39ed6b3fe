"""A fault, and how one is carried out on a stage under load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from tests.faults.history import Crashed
from tests.faults.load import Load
from tests.faults.results import Result

BEFORE_S = 0.5
AFTER_S = 0.5

LOAD_S = 10.0
"""For the first sends, on a busy machine."""

Step = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """For a fault that ends by itself."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Something that goes wrong, from `begin` to `end`, and for how long it may be felt.

    `heal_within_s`: seconds from `heal_from` until a message to each conversation is on every device again.
    `may_lose_s`: what was confirmed while `begin` ran and so many seconds before may be gone, and is told to be.
    `answers_during`: some sends are answered while it lasts; a fault that stops them all is no worse for it.
    """

    name: str
    begin: Step
    end: Step = nothing
    lasts_s: float = 1.0
    heal_within_s: float = 10.0
    heal_from: Literal["begin", "end"] = "end"
    answers_during: bool = True
    may_lose_s: float = 0.0


async def suffer(fault: Fault, load: Load) -> float:
    """Carry it out while the load runs. Returns the seconds to heal; AssertionError when that takes too long."""
    await asyncio.sleep(BEFORE_S)
    await load.until(lambda: [] if load.diary.confirmed else ["no send was answered"], LOAD_S, "the first answer")
    before = load.diary.confirmed
    began = await _begin(fault, load)
    async with asyncio.TaskGroup() as healing:
        from_begin = fault.heal_from == "begin"
        task = healing.create_task(load.healed(began, within_s=fault.heal_within_s)) if from_begin else None
        await asyncio.sleep(fault.lasts_s)
        during = load.diary.confirmed - before
        assert during > 0 or not fault.answers_during, f"no send was answered during {fault.name}"
        await fault.end()
        heal_s = await (task or load.healed(time.monotonic(), within_s=fault.heal_within_s))
    healed = load.diary.confirmed
    await asyncio.sleep(AFTER_S)
    assert load.diary.confirmed > healed, f"no send was answered after {fault.name}"
    return heal_s


async def _begin(fault: Fault, load: Load) -> float:
    """Returns when it began."""
    if not fault.may_lose_s:
        began = time.monotonic()
        await fault.begin()
        return began
    # Who was a member when the tail was lost would not be known: nobody comes or goes in what may be lost.
    async with load.nobody_moves():
        await asyncio.sleep(fault.may_lose_s)
        began = time.monotonic()
        await fault.begin()
        at = time.monotonic()
        load.diary.note(Crashed(at=at, loses_s=fault.may_lose_s + at - began))
        return began


async def judged(fault: Fault, load: Load, *, heal_s: float, may_lose: bool = False) -> Result:
    """End the load and judge what it saw."""
    verdict = await load.settle(may_lose=may_lose)
    return Result(
        fault=fault.name,
        sends=verdict.sends,
        answered=verdict.confirmed,
        deliveries=verdict.deliveries,
        violations=[str(violation) for violation in verdict.violations],
        heal_s=round(heal_s, 2),
        heal_within_s=fault.heal_within_s,
    )
