"""How much one user may ask of a node: frames, sends and signals a second, over all its connections and HTTP calls.

What comes above the rate is refused, and told when to come again. Acks, pongs and fresh tokens are always taken, for
to refuse them helps nobody; they count. Whoever goes on as if nothing had been said uses up a second bucket, which
holds ABUSE_S seconds' worth of refusals, and is cut off.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from pushpull.delivery.bucket import Bucket
from pushpull.errors import RateLimited
from pushpull.model import Cid
from pushpull.settings import Limits

BURST_S: Final = 5.0
"""Seconds' worth that may come at once: what a device has gathered in a tunnel, or asks for when it comes back."""
ABUSE_S: Final = 10.0
"""Seconds' worth of frames over the rate before the connection ends. They are forgiven at the same rate."""

SIGNALS_PER_S: Final = 4.0
"""Of one user in one conversation. `typing` holds for some seconds where it is shown; a cursor that is drawn moves."""
SIGNALLED_MAX: Final = 32
"""Conversations whose signals are counted, those signalled in last: what a user does in more is bound by its frames."""


class Allowance:
    __slots__ = ("__weakref__", "_abuse", "_frames", "_limits", "_refused", "_sends", "_signals")

    def __init__(self, limits: Limits, refused: Callable[[str], None] = lambda what: None) -> None:
        """`refused` is told what was over the rate: "frames" (and calls), "sends", "signals"."""
        self._limits = limits
        self._refused = refused
        self._frames = Bucket(limits.frames_per_s, limits.frames_per_s * BURST_S)
        self._sends = Bucket(limits.sends_per_s, limits.sends_per_s * BURST_S)
        self._abuse = Bucket(limits.frames_per_s, limits.frames_per_s * ABUSE_S)
        self._signals: OrderedDict[Cid, Bucket] | None = None  # from the first on: most never signal

    def frame(self, now: float) -> int:
        """Count a frame or a call. 0: within the rate; else for how many ms another would be too many as well.

        Called for every frame that comes in.
        """
        return self._frames.take(now)

    def abused(self, now: float) -> bool:
        """Count a frame that was over the rate; whether that was one too many."""
        return self._abuse.take(now) > 0

    def refusal(self, over_ms: int) -> RateLimited:
        """What a frame or a call over the rate is answered."""
        self._refused("frames")
        rate = self._limits.frames_per_s
        return RateLimited(f"over {rate:g} frames and calls a second of this user", retry_after_ms=over_ms)

    def check_call(self, now: float) -> None:
        """Count a call. Raises RateLimited."""
        over_ms = self.frame(now)
        if over_ms:
            raise self.refusal(over_ms)

    def check_send(self, now: float) -> None:
        """Count a send. Raises RateLimited."""
        over_ms = self._sends.take(now)
        if over_ms:
            self._refused("sends")
            raise RateLimited(f"over {self._limits.sends_per_s:g} sends a second of this user", retry_after_ms=over_ms)

    def check_signal(self, cid: Cid, now: float) -> None:
        """Count a signal in `cid`. Raises RateLimited."""
        if self._signals is None:
            self._signals = OrderedDict()
        bucket = self._signals.setdefault(cid, Bucket(SIGNALS_PER_S, SIGNALS_PER_S))
        self._signals.move_to_end(cid)
        if len(self._signals) > SIGNALLED_MAX:
            self._signals.popitem(last=False)
        over_ms = bucket.take(now)
        if over_ms:
            self._refused("signals")
            raise RateLimited(f"over {SIGNALS_PER_S:g} signals a second of this user in {cid}", retry_after_ms=over_ms)
