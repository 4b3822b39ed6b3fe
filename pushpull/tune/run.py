"""The whole measurement: every spot in every way, several times, and what follows from it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pushpull.bench.audience import Way
from pushpull.bench.run import Machine, Watch, machine
from pushpull.delivery.costs import Prices
from pushpull.settings import Delivery
from pushpull.tune.advice import Saving, Setting, Wishes, advise, savings
from pushpull.tune.fit import Observed, fit
from pushpull.tune.measure import Point, Stretches, stretches
from pushpull.tune.sweep import Scale, Spot, steps

PAGES: Final = (1, 100)
"""Messages in the pages that are pulled for their price: a pull with its frame, and what each message adds."""
OTHERS: Final = 0.3
"""Cores that something else used, above which a stretch may have been disturbed."""


@dataclass(frozen=True, slots=True)
class Measured:
    """`points`: of each spot and way its runs. `units`: stretches that tell kinds of work apart."""

    scale: Scale
    points: list[list[Point]]
    units: list[Observed]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`points`: of each spot and way the run with the median cost."""

    machine: Machine
    scale: Scale
    runs: int
    seconds: float
    points: list[Point]
    units: list[Observed]
    settings: Delivery  # before the advice
    prices: Prices
    commands: Prices  # of Redis
    sent_bytes: Prices  # to devices
    advised: list[Setting]
    savings: list[Saving]

    @property
    def wrong(self) -> list[str]:
        return [f"{_named(point.spot, point.way)}: {what}" for point in self.points for what in point.wrong]

    @property
    def disturbed(self) -> int:
        """Points that were measured while something else was busy."""
        return sum(point.other_cores > OTHERS for point in self.points)


async def run(scale: Scale, settings: Delivery, wishes: Wishes, *, runs: int, watch: Watch) -> Report:
    """Measure this machine; the advice begins from `settings`. Raises BenchFailed or ConfigError."""
    began = time.monotonic()
    measured = await _measured(scale, settings, runs, watch)
    return concluded(measured, settings, wishes, seconds=round(time.monotonic() - began, 1))


def concluded(measured: Measured, settings: Delivery, wishes: Wishes, *, seconds: float) -> Report:
    """What follows from what was measured."""
    points = [_median(repeated) for repeated in measured.points]
    observed = [*(point.did for repeated in measured.points for point in repeated), *measured.units]
    prices = fit(observed)
    advised = advise(prices, points, settings, wishes)
    return Report(
        machine=machine(),
        scale=measured.scale,
        runs=len(measured.points[0]),
        seconds=seconds,
        points=points,
        units=measured.units,
        settings=settings,
        prices=prices,
        commands=fit(observed, "redis_commands"),
        sent_bytes=fit(observed, "sent_bytes"),
        advised=advised,
        savings=savings(prices, settings, advised, wishes),
    )


async def _measured(scale: Scale, settings: Delivery, runs: int, watch: Watch) -> Measured:
    todo, turns = list(steps(scale)), scale.unit_turns * runs
    of = sum(len(ways) for _, ways in todo) * runs + (len(PAGES) + 2) * turns
    done = itertools.count()

    def tell(step: str) -> None:
        watch(step, next(done), of)

    watch("connecting", 0, of)
    async with stretches(scale, settings) as stretched:
        points = [taken for spot, ways in todo for taken in await _turns(stretched, spot, ways, runs, tell)]
        units = [unit for _ in range(turns) for unit in await _units(stretched, [spot for spot, _ in todo], tell)]
    return Measured(scale, points, units)


async def _units(stretched: Stretches, of: Sequence[Spot], tell: Callable[[str], None]) -> list[Observed]:
    """Stretches that tell kinds of work apart: pulls without notices, frames with few and many messages, more acks than
    usual in the largest group, and messages to the smallest ones for which no cursor is written."""
    taken = []
    for limit in PAGES:
        tell(f"pages of {limit}")
        taken.append(await stretched.pages(limit))
    tell("acks at once")
    largest = max(of, key=lambda spot: (spot.size, spot.rate))
    taken.append((await stretched.spot(largest, "push", acks="at_once")).did)
    tell("no acks")
    smallest = min(of, key=lambda spot: (spot.size, -spot.rate))
    taken.append((await stretched.spot(smallest, "push", acks="never")).did)
    return taken


async def _turns(
    stretched: Stretches, spot: Spot, ways: Sequence[Way], runs: int, tell: Callable[[str], None]
) -> list[list[Point]]:
    """For each way its runs. They take turns: a machine that is disturbed for a while disturbs all of them."""
    taken: list[list[Point]] = [[] for _ in ways]
    for _ in range(runs):
        for points, way in zip(taken, ways, strict=True):
            tell(_named(spot, way))
            points.append(await stretched.spot(spot, way))
    return taken


def _median(repeated: Sequence[Point]) -> Point:
    """The one with the median cost; what was wrong in any of them is wrong."""
    middle = sorted(repeated, key=lambda point: point.did.cpu_s)[(len(repeated) - 1) // 2]
    wrong = list(dict.fromkeys(what for point in repeated for what in point.wrong))
    return msgspec.structs.replace(middle, wrong=wrong)


def _named(spot: Spot, way: str) -> str:
    return f"{spot.size} members, {spot.rate:g} msg/s, {spot.viewers:.0%} look: {way}"
