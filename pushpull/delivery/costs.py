"""What delivery costs: the work that each way of it makes, and the processor time of that work.

Theory of operation. A conversation gets `rate` messages a second, at random (a Poisson process). What one connected
member of it makes the service do in a second, in each way of delivery, is a `Work`: frames out, messages in them,
acks and pulls in, notices out. A machine has `Prices`, the seconds of processor time of one of each; `pushpull tune`
measures them. Work times prices is the cost, so ways of delivery are compared without running any of them.

    way              frames    acks        notices, pulls
    push             λ         ρ(frames)   none
    gathered push    r(λ, W)   ρ(frames)   none
    notify, looks    r(λ, I)   ρ(frames)   a notice and a pull for each round of several messages
    notify, away     those it stands right before, a notice for each other round, no pull

r(λ, T) = λ / (λT + e^−λT): rounds a second, where the first message after a quiet spell goes at once and then there is
at most one round in T seconds (`node/rounds.py`). Its cycle is T, and, when nothing came in it (e^−λT), the time 1/λ
until something does. The simpler λ / (1 + λT) is that of a timer which begins with the first message: ρ, of acks, which
wait `ack_delay_s` for others.

A round of a single message (`alone`) rides inline with those who stand right before it, which is a push in all but
name. Who looks at the conversation stands there, having pulled. Who does not look stands there from its last visit on,
until the first round of several messages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Work:
    """A second of one member, or any other amount. `sends` (messages stored) and `flushes` (calls that write cursors)
    are a conversation's, and of a member its share."""

    frames: float = 0.0
    items: float = 0.0
    acks: float = 0.0
    notices: float = 0.0
    pulls: float = 0.0
    sends: float = 0.0
    flushes: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(*(getattr(self, name) + getattr(other, name) for name in KINDS))

    def times(self, factor: float) -> Work:
        return Work(*(getattr(self, name) * factor for name in KINDS))


@dataclass(frozen=True, slots=True)
class Prices:
    """Seconds of the service's processor time for one: a frame of messages out, each message in it, an ack in, a
    notice out, a pull in (its answer is a frame), a send (stored and heard, before anyone is told), a call that writes
    a conversation's cursors."""

    frames: float = 0.0
    items: float = 0.0
    acks: float = 0.0
    notices: float = 0.0
    pulls: float = 0.0
    sends: float = 0.0
    flushes: float = 0.0

    def of(self, work: Work) -> float:
        """Seconds of processor time for `work`."""
        return float(sum(getattr(self, name) * getattr(work, name) for name in KINDS))


KINDS = tuple(field.name for field in fields(Work))


@dataclass(frozen=True, slots=True)
class Habits:
    """How devices behave. `viewers`: the share (0 to 1) of connected members who have the conversation on screen.

    `visit_s`: seconds between two looks of one who does not; `inf`: never again. `ack_delay_s`: how long an ack waits
    for others. `inline`: whether a single message is small enough to ride along with a notice. `flush_s`: how long acks
    wait to be written.
    """

    viewers: float = 1.0
    visit_s: float = 1_800.0
    ack_delay_s: float = 0.2
    inline: bool = True
    flush_s: float = 0.5


def rounds_per_s(rate: float, interval_s: float) -> float:
    """Rounds a second where messages come at `rate` a second, the first at once and then one round an interval."""
    return rate / (rate * interval_s + math.exp(-rate * interval_s)) if rate else 0.0


def alone_share(rate: float, interval_s: float) -> float:
    """The share of rounds that carry a single message: at most one came during the interval before."""
    expected = rate * interval_s
    return math.exp(-expected) * (1 + expected)


def acks_per_s(frames_per_s: float, delay_s: float) -> float:
    """Acks a second for so many frames, where each waits for others."""
    return frames_per_s / (1 + frames_per_s * delay_s)


def push(rate: float, habits: Habits, *, window_s: float = 0.0) -> Work:
    """One member's second, with a push for each message, or for all that come within `window_s`."""
    frames = rounds_per_s(rate, window_s)
    return Work(frames=frames, items=rate, acks=acks_per_s(frames, habits.ack_delay_s))


def shared(served: Work, *, rate: float, members: int, habits: Habits) -> Work:
    """One member's share of what its conversation costs beside what each is served: messages stored, cursors written.

    The acks of one message come together, and those that come within `flush_s` are written in one call.
    """
    acks = min(rate, served.acks * members)
    return Work(sends=rate, flushes=acks_per_s(acks, habits.flush_s)).times(1 / members)


def notify(rate: float, habits: Habits, *, interval_s: float) -> Work:
    """One member's second, on average over those who look and those who do not."""
    looking = notify_looker(rate, habits, interval_s=interval_s)
    away = notify_away(rate, habits, interval_s=interval_s)
    return looking.times(habits.viewers) + away.times(1 - habits.viewers)


def notify_looker(rate: float, habits: Habits, *, interval_s: float) -> Work:
    """The second of a member who looks and is notified: it comes for what it is told."""
    rounds = rounds_per_s(rate, interval_s)
    several = rounds * (1 - alone_share(rate, interval_s)) if habits.inline else rounds
    acks = acks_per_s(rounds, habits.ack_delay_s)
    return Work(frames=rounds, items=rate, acks=acks, notices=several, pulls=several)


def notify_away(rate: float, habits: Habits, *, interval_s: float) -> Work:
    """The second of a member who does not look and is notified: it does not come for what it is told."""
    rounds = rounds_per_s(rate, interval_s)
    inline = rounds * alone_share(rate, interval_s) * _standing_share(rate, habits, interval_s)
    return Work(frames=inline, items=inline, acks=acks_per_s(inline, habits.ack_delay_s), notices=rounds - inline)


def _standing_share(rate: float, habits: Habits, interval_s: float) -> float:
    """The share of time that who does not look stands at the end: from a visit until a round of several messages."""
    if not habits.inline or math.isinf(habits.visit_s):
        return 0.0
    lost_per_s = rounds_per_s(rate, interval_s) * (1 - alone_share(rate, interval_s))
    return 1 / (1 + lost_per_s * habits.visit_s)
