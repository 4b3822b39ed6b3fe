"""Not faster than the service allows: a token bucket. Pure; `now` in steady seconds."""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.9
"""Of the allowed rate: both clocks drift, and what the network held back arrives in one heap."""


class Pace:
    """`rate` frames per second, one second's worth at once; None: no limit is known."""

    def __init__(self, rate: float | None = None) -> None:
        self._rate = rate * SHARE if rate is not None else None
        self._tokens = self._rate or 0.0
        self._at: float | None = None

    def wait_s(self, now: float) -> float:
        """Take one token; seconds to wait before using it."""
        if self._rate is None:
            return 0.0
        if self._at is not None:
            self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)
