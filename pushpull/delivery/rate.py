"""How often something happens lately: averages that forget, exponentially, from samples taken at any times.

A sample over dt seconds moves the average by 1 − e^(−dt/τ) of the way to it, so that it does not matter how often one
looks: of what was, a share of e^(−t/τ) is left after t seconds.
"""

from __future__ import annotations

import math
from typing import Final

RATE_S: Final = 10.0
"""τ of message rates: a burst of a second or two is no reason to change how a conversation is delivered."""
LOAD_S: Final = 5.0
QUIET_PER_S: Final = 0.01
"""A rate below which a conversation counts as quiet: there is nothing left to follow."""


class Smoothed:
    __slots__ = ("tau_s", "value")

    def __init__(self, tau_s: float, value: float = 0.0) -> None:
        self.tau_s = tau_s
        self.value = value

    def take(self, sample: float, *, over_s: float) -> None:
        """The last `over_s` seconds were `sample` on average."""
        self.value += (sample - self.value) * -math.expm1(-over_s / self.tau_s)


class Rate:
    """Messages a second of one conversation, from the seqs its head had."""

    __slots__ = ("_average", "_looked_at", "_seq")

    def __init__(self, seq: int) -> None:
        self._average = Smoothed(RATE_S)
        self._seq = seq
        self._looked_at: float | None = None

    @property
    def per_s(self) -> float:
        return self._average.value

    @property
    def quiet(self) -> bool:
        return self._average.value < QUIET_PER_S

    def look(self, seq: int, now: float) -> None:
        """The head is at `seq`. A head that fell (the log lost its tail) counts as none new."""
        # What came before the first look came within a second of it: whoever looks does so as soon as something has.
        over_s = 1.0 if self._looked_at is None else now - self._looked_at
        if over_s > 0:
            self._average.take(max(0, seq - self._seq) / over_s, over_s=over_s)
            self._seq, self._looked_at = seq, now

    def rest(self) -> None:
        """Nobody looks any more until something comes: the silence in between is no sample."""
        self._looked_at = None
