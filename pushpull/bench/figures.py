"""Measured values beside what they should be, and the values that every workload states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pushpull.bench.meter import Usage
from pushpull.bench.spread import Spread

MICRO: Final = 1_000_000.0
BUSY: Final = 0.9
"""A load process that used so much of its core may have been what limited."""


OTHERS: Final = 0.3
"""Cores: more than the kernel's own work beside what is measured."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One value. With a `floor`, the limits are multiples of it. `value` None: not measured, `note` says why."""

    name: str
    value: float | None
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    floor: float | None = None
    note: str = ""

    @property
    def has_target(self) -> bool:
        return self.at_most is not None or self.at_least is not None

    @property
    def ratio(self) -> float | None:
        """The value as a multiple of its floor, or where there is none of its limit."""
        against = self.floor if self.floor is not None else self.at_most if self.at_most is not None else self.at_least
        return self.value / against if self.value is not None and against else None

    @property
    def ok(self) -> bool | None:
        """Whether the target is met; None where there is none, or nothing to judge."""
        if not self.has_target or self.value is None:
            return None
        measured = self.value if self.floor is None else (self.ratio or 0.0)
        return (self.at_most is None or measured <= self.at_most) and (
            self.at_least is None or measured >= self.at_least
        )


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Of one run of a workload. `wrong`: what does not add up; then the figures mean nothing."""

    figures: list[Figure]
    wrong: list[str] = []
    notes: list[str] = []
    commands: dict[str, dict[str, int]] = {}  # what was measured → Redis' calls by command, those in scripts too
    series: dict[str, list[list[float]]] = {}  # lines to be drawn: name → [x, y]


def medians(outcomes: Sequence[Outcome]) -> list[Figure]:
    """For each figure of the first outcome the one with the median value; ratios to a floor are of its own run."""
    rows = []
    for first in outcomes[0].figures:
        same = [figure for outcome in outcomes for figure in outcome.figures if figure.name == first.name]
        known = sorted((figure for figure in same if figure.value is not None), key=_rank)
        rows.append(known[(len(known) - 1) // 2] if known else first)
    return rows


def _rank(figure: Figure) -> float:
    """By ratio where a floor was measured beside it: both moved with the machine."""
    value = figure.ratio if figure.floor is not None else figure.value
    return value if value is not None else 0.0


def spread_over_runs(outcomes: Sequence[Outcome], name: str) -> tuple[float, float] | None:
    """The lowest and the highest value that a figure had."""
    values = [figure.value for outcome in outcomes for figure in outcome.figures if figure.name == name]
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


# ------------------------------------------------------------------------------------------------ what all state


def times(
    name: str,
    spread: Spread,
    *,
    p50_at_most: float | None = None,
    p99_at_most: float | None = None,
    floor: Spread | None = None,
) -> list[Figure]:
    """p50, p95, p99 and max in ms; with a `floor`, `p50_at_most` and `p99_at_most` are multiples of its own."""
    summary = spread.summary()
    under = floor.summary() if floor is not None else None
    p50_floor = under.p50_ms if under is not None and p50_at_most is not None else None
    return [
        Figure(name=f"{name} p50", value=summary.p50_ms, unit="ms", at_most=p50_at_most, floor=p50_floor),
        Figure(name=f"{name} p95", value=summary.p95_ms, unit="ms"),
        Figure(
            name=f"{name} p99",
            value=summary.p99_ms,
            unit="ms",
            at_most=p99_at_most,
            floor=under.p99_ms if under is not None else None,
        ),
        Figure(name=f"{name} max", value=summary.max_ms, unit="ms"),
    ]


def costs(usage: Usage, units: int, unit: str, **server_target: Any) -> list[Figure]:
    """Processor time and commands for each `unit`, how busy all were, and what the load could have done.

    `server_target`: what else the figure of the service's own time says (at_most, floor).
    """
    units = max(1, units)
    load_cpu_s = sum(usage.load_cpu_s)
    ceiling = units / load_cpu_s * len(usage.load_cpu_s) if load_cpu_s else None
    return [
        Figure(name=f"server CPU per {unit}", value=usage.server_cpu_s / units * MICRO, unit="µs", **server_target),
        Figure(name=f"redis CPU per {unit}", value=usage.redis.cpu_s / units * MICRO, unit="µs"),
        Figure(name=f"redis commands per {unit}", value=usage.redis.commands / units, unit=""),
        Figure(name=f"{unit}: server busy", value=usage.server_cores, unit="cores"),
        Figure(name=f"{unit}: redis busy", value=usage.redis_cores, unit="cores"),
        Figure(name=f"{unit}: load busy", value=usage.load_share, unit="cores"),
        Figure(name=f"{unit}: load's ceiling", value=ceiling, unit="/s"),
    ]


def limits(usage: Usage, what: str, cores: int) -> list[str]:
    """What limited other than the service, if anything."""
    notes = []
    if usage.load_share > BUSY and usage.server_cores < BUSY:
        notes.append(f"{what}: the load generator was busy ({usage.load_share:.0%} of a core), it may be what limits")
    if usage.cores > BUSY * cores and usage.server_cores < BUSY:
        notes.append(f"{what}: all {cores} cores were busy ({usage.cores:.1f} used), the machine may be what limits")
    if usage.other_cores > OTHERS:
        notes.append(f"{what}: something else on this machine used {usage.other_cores:.1f} cores meanwhile")
    return notes
