"""What each way costs at each spot beside the cheaper of push and notify: the regret of having chosen it.

A fixed threshold pushes to groups up to its size and notifies larger ones, whatever is going on in them. Its regret at
a spot is what it costs there, as a share, above the cheaper way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pushpull.bench.audience import Way
from pushpull.tune.measure import Point
from pushpull.tune.sweep import Spot


@dataclass(frozen=True, slots=True)
class Compared:
    """A spot's cost in each way: seconds of processor time for a member and second."""

    spot: Spot
    costs: dict[Way, float]

    @property
    def best(self) -> float:
        """Of push and notify."""
        return min(self.costs["push"], self.costs["notify"])

    def regret(self, way: Way) -> float:
        """By what share `way` costs more than the better of push and notify; below 0: less than both."""
        return self.costs[way] / self.best - 1

    def regret_of(self, threshold: int) -> float:
        """Of a threshold that is all that decides."""
        return self.regret("push" if self.spot.size <= threshold else "notify")


def compared(points: Sequence[Point]) -> list[Compared]:
    """The spots that were measured both pushed and notified."""
    costs: dict[Spot, dict[Way, float]] = {}
    for point in points:
        costs.setdefault(point.spot, {})[point.way] = point.per_member_s
    return [Compared(spot, ways) for spot, ways in costs.items() if {"push", "notify"} <= ways.keys()]


def mean_regret(spots: Sequence[Compared], threshold: int) -> float:
    """Of a fixed threshold, over all spots alike; 0 without any."""
    return sum(spot.regret_of(threshold) for spot in spots) / max(1, len(spots))


def policy_regrets(spots: Sequence[Compared]) -> list[float]:
    """The policy's, at each spot where it was measured."""
    return [spot.regret("policy") for spot in spots if "policy" in spot.costs]
