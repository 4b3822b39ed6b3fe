"""What the two processes of a demo tell each other, a line each: `Orders`, then words one way; `Report` the other."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pushpull.demo.latency import Spread
from pushpull.demo.ledger import Tally
from pushpull.demo.plan import Plan

GO: Final = b"go"
"""Everybody is connected and the counts are taken: begin to send."""
STOP: Final = b"stop"
"""Enough: catch up and say how it ended."""

Phase = Literal["connecting", "ready", "sending", "catching up", "done"]


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """First line. `tokens`: one for each connected user, by number. Holds secrets: never shown, never logged."""

    url: str
    plan: Plan
    tokens: list[str]

    def __repr__(self) -> str:
        return f"Orders(url={self.url!r}, plan={self.plan!r})"


class Counts(msgspec.Struct, kw_only=True):
    """What the devices counted since they began."""

    sent_hot: int = 0  # answered with `sent`
    sent_small: int = 0
    repeated_sends: int = 0  # of these, answered `dup`: the answer to the first try was lost with a connection
    refused: int = 0  # sends refused for good
    shown_hot: int = 0
    shown_small: int = 0
    redelivered: int = 0  # messages in frames marked as a redelivery
    suppressed: int = 0  # messages that came again and were not shown again
    reconnects: int = 0
    resets: int = 0
    notices: int = 0
    pulls: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended."""

    hot: Tally
    small: Tally
    unanswered: int
    latency_hot: Spread
    latency_small: Spread
    latency_flaky: Spread
    seconds: float  # of sending
    catch_up_s: float
    cpu_s: float  # of the fleet's own process, while sending and catching up
    failures: list[str]


class Report(msgspec.Struct, kw_only=True):
    """How it goes, about twice a second; the last one has the verdict."""

    phase: Phase
    at: float = 0.0  # seconds since the sending began
    connected: int = 0
    withholding: int = 0
    unanswered: int = 0
    behind: int = 0  # stored and not yet shown, over all devices
    worst_behind: int = 0  # and of the device that lacks most
    twice: int = 0
    out_of_order: int = 0
    counts: Counts = msgspec.field(default_factory=Counts)
    recent_hot: Spread = Spread()
    recent_small: Spread = Spread()
    verdict: Verdict | None = None
