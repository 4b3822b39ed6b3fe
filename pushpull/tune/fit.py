"""From measured stretches to prices: non-negative least squares.

Each stretch says how much of each kind of work the service did and what processor time it took. The prices are those,
none below zero, that explain all stretches best, where an error counts as a share of the stretch's own time: a cheap
stretch is explained as well as a dear one.

Solved by coordinate descent: each price in turn takes the best value that is not negative, given the others. The
problem is convex, so that ends at the minimum; with six unknowns it takes milliseconds and no library.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from pushpull.delivery.costs import KINDS, Prices, Work
from pushpull.errors import ConfigError

TURNS: Final = 20_000
SETTLED: Final = 1e-12
"""A turn that improves no price by more than this share of the scale has found them."""


class Observed(msgspec.Struct, frozen=True):
    """What the service did in a stretch and what that cost: seconds of its processor time, commands of Redis (those in
    scripts too), bytes to devices."""

    work: Work
    cpu_s: float
    redis_commands: float = 0.0
    sent_bytes: float = 0.0


Cost = Literal["cpu_s", "redis_commands", "sent_bytes"]


def fit(stretches: Sequence[Observed], cost: Cost = "cpu_s") -> Prices:
    """The prices behind `stretches`; 0 for work that none of them did. Raises ConfigError without any that cost."""
    known = [(seen.work, getattr(seen, cost)) for seen in stretches if getattr(seen, cost) > 0]
    if not known:
        raise ConfigError(f"no stretch of {len(stretches)} has any {cost}; expected some work to be measured")
    rows = [[getattr(work, kind) / value for kind in KINDS] for work, value in known]
    return Prices(*non_negative_least_squares(rows, [1.0] * len(rows)))


def misfit(prices: Prices, seen: Observed) -> float:
    """By what share of the measured time the prices miss it; positive: they say more."""
    return prices.of(seen.work) / seen.cpu_s - 1


def non_negative_least_squares(rows: Sequence[Sequence[float]], wanted: Sequence[float]) -> list[float]:
    """The x ≥ 0 for which rows · x is closest to `wanted`, by the sum of squares; 0 where a column has nothing.

    Lawson and Hanson, Solving Least Squares Problems, ch. 23, states the problem; a unique solution needs columns
    that are independent.
    """
    scales = [sum(row[at] ** 2 for row in rows) ** 0.5 for at in range(len(rows[0]))]
    columns = [[row[at] / scale for row in rows] if scale else [] for at, scale in enumerate(scales)]
    solution = [0.0] * len(scales)
    left = list(wanted)
    for _ in range(TURNS):
        moved = 0.0
        for at, column in enumerate(columns):
            moved = max(moved, abs(_improve(solution, at, column, left))) if column else moved
        if moved <= SETTLED:
            break
    return [value / scale if scale else 0.0 for value, scale in zip(solution, scales, strict=True)]


def _improve(solution: list[float], at: int, column: Sequence[float], left: list[float]) -> float:
    """Give one unknown its best value, and take what it explains off what is left; by how much it changed."""
    best = max(0.0, solution[at] + sum(part * rest for part, rest in zip(column, left, strict=True)))
    step = best - solution[at]
    if step:
        solution[at] = best
        for place, part in enumerate(column):
            left[place] -= step * part
    return step
