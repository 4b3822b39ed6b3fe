"""Where one way of delivery becomes cheaper than the other, and the settings that follow.

A threshold in members needs to know how much members write: a conversation of m connected members gets m × talk
messages a second. Along that line the cost of pushing each message grows with the square of the members, that of
notifying more slowly, and `push_max_members` belongs where they part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pushpull.delivery.costs import Habits, Prices, notify, push

RATE_MIN: Final = 1e-4
RATE_MAX: Final = 1e4
HALVINGS: Final = 60


@dataclass(frozen=True, slots=True)
class Talk:
    """A population: messages a second that a connected member writes in its conversation, and what devices do."""

    per_member_s: float
    habits: Habits


def crossing(
    prices: Prices, habits: Habits, *, interval_s: float, tolerance: float = 0.0, window_s: float = 0.0
) -> float | None:
    """The rate (messages a second) up to which a push costs at most (1 + tolerance) times a notice and what follows.

    None: a push costs more at every rate. `inf`: it never does. Between them the costs part once, and stay parted.
    """

    def dearer(rate: float) -> bool:
        notified = prices.of(notify(rate, habits, interval_s=interval_s))
        return prices.of(push(rate, habits, window_s=window_s)) > notified * (1 + tolerance)

    return _first(dearer)


def _first(beyond: Callable[[float], bool]) -> float | None:
    """The smallest rate that is `beyond`, by bisection of its logarithm."""
    if beyond(RATE_MIN):
        return None
    if not beyond(RATE_MAX):
        return float("inf")
    low, high = RATE_MIN, RATE_MAX
    for _ in range(HALVINGS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if beyond(middle) else (middle, high)
    return high
