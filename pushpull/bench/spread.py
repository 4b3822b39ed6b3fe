"""How long things took: a count for each tick of 0.1 ms, so that spreads of many processes can be added up exactly."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

TICK_NS: Final = 100_000
TICKS_A_MS: Final = 10


def now_ticks() -> int:
    """The monotonic clock in ticks of 0.1 ms: the same for all processes of this machine."""
    return time.monotonic_ns() // TICK_NS


class Summary(msgspec.Struct, frozen=True):
    """Milliseconds; all 0 when nothing was counted."""

    count: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Spread:
    """Bounded by the longest time there is: a counter for each tick that occurred."""

    def __init__(self, ticks: Mapping[int, int] | None = None) -> None:
        """`ticks`: how often each number of ticks occurred."""
        self.ticks: Counter[int] = Counter(ticks or {})

    def add(self, ticks: int, times: int = 1) -> None:
        """Something took so long, `times` times; less than nothing counts as nothing."""
        self.ticks[max(0, ticks)] += times

    def merge(self, other: Spread) -> None:
        self.ticks.update(other.ticks)

    def summary(self) -> Summary:
        """Count, percentiles (nearest rank) and maximum."""
        count = self.ticks.total()
        if not count:
            return Summary()
        p50, p95, p99, longest = (self._at(math.ceil(share * count)) for share in (0.50, 0.95, 0.99, 1.0))
        return Summary(count, p50, p95, p99, longest)

    def _at(self, rank: int) -> float:
        passed = 0
        for ticks in sorted(self.ticks):
            passed += self.ticks[ticks]
            if passed >= rank:
                return ticks / TICKS_A_MS
        raise AssertionError("a rank is at most the count")
