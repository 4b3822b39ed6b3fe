"""Not faster than the service allows: a token bucket. Pure; `now` in steady seconds.

The rate is the user's, and its other devices use it, too, unseen. A refusal says that together they are too fast: each
then goes at half its pace, and picks up again bit by bit (additive increase, multiplicative decrease: RFC 5681). Who
went on as before would be cut off in the end.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.9
"""Of the allowed rate: both clocks drift, and what the network held back arrives in one heap."""
LEAST_SHARE: Final = 1 / 20
"""As many devices may a user have."""
REGAINED_PER_S: Final = 0.1
"""Of the full pace."""
HALVED_EVERY_S: Final = 0.25
"""At most: frames that were on their way together are refused together."""


class Pace:
    """`rate` frames per second, one second's worth at once; None: no limit is known."""

    def __init__(self, rate: float | None = None) -> None:
        self._full = rate * SHARE if rate is not None else None
        self._rate = self._full or 0.0
        self._tokens = self._rate
        self._at: float | None = None
        self._halved_at: float | None = None

    def wait_s(self, now: float) -> float:
        """Take one token; seconds to wait before using it."""
        if self._full is None:
            return 0.0
        if self._at is not None:
            self._rate = min(self._full, self._rate + (now - self._at) * REGAINED_PER_S * self._full)
            self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def slow_down(self, now: float) -> None:
        """The service refused a frame, although this device kept to the pace."""
        if self._full is None or (self._halved_at is not None and now < self._halved_at + HALVED_EVERY_S):
            return
        self._halved_at = now
        self._rate = max(self._rate / 2, self._full * LEAST_SHARE)
        self._tokens = min(self._tokens, 0.0)
