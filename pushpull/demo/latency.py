"""How long messages took: counts in buckets that grow by a twentieth, so that any length of run fits in a few hundred.

A percentile is off by at most 5 %, upward; the maximum is exact.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Final

import msgspec

FIRST_MS: Final = 0.1
GROWTH: Final = 1.05
_LOG_GROWTH: Final = math.log(GROWTH)


class Spread(msgspec.Struct, frozen=True):
    """Milliseconds; all 0 when nothing was counted."""

    count: int = 0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0


class Latencies:
    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self._max_ms = 0.0

    def add(self, ms: float) -> None:
        """One message took so long; a negative time counts as none."""
        ms = max(0.0, ms)
        self._buckets[0 if ms <= FIRST_MS else math.ceil(math.log(ms / FIRST_MS) / _LOG_GROWTH)] += 1
        self._max_ms = max(self._max_ms, ms)

    def spread(self) -> Spread:
        """Count, percentiles and maximum."""
        count = self._buckets.total()
        p50, p95, p99 = (self._at(share * count) for share in (0.50, 0.95, 0.99))
        return Spread(count, p50, p95, p99, round(self._max_ms, 1))

    def clear(self) -> None:
        """Start over."""
        self._buckets.clear()
        self._max_ms = 0.0

    def _at(self, rank: float) -> float:
        """The upper edge of the bucket in which the message of this rank lies."""
        passed = 0
        for bucket in sorted(self._buckets):
            passed += self._buckets[bucket]
            if passed >= rank:
                return round(min(FIRST_MS * GROWTH**bucket, self._max_ms), 1)
        return 0.0
