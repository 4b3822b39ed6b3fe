"""A token bucket, kept as one number: the time at which it will be full again.

`burst` tokens fit in, `rate` a second flow in, each use takes one out. This is the virtual scheduling form of the
generic cell rate algorithm (ITU-T I.371, annex A): nothing runs by the clock, and what is left needs no second field.
"""

from __future__ import annotations

import math
from typing import Final

ROUNDING_S: Final = 1e-6
"""Less than this is the arithmetic's doing. Who waits exactly as long as it was told must be let through."""


class Bucket:
    __slots__ = ("_full_at", "_interval_s", "_room_s")

    def __init__(self, rate: float, burst: float) -> None:
        """`rate` tokens a second (above 0), at most `burst` at once (one at least). It is full at first."""
        self._interval_s = 1.0 / rate
        self._room_s = max(1.0, burst) * self._interval_s
        self._full_at = -math.inf

    def take(self, now: float) -> int:
        """Take a token. 0: it was there; else for how many ms from `now` it will not be, and nothing was taken."""
        full_at = (self._full_at if self._full_at > now else now) + self._interval_s
        over_s = full_at - now - self._room_s
        if over_s > ROUNDING_S:
            return max(1, math.ceil((over_s - ROUNDING_S) * 1000))
        self._full_at = full_at
        return 0
