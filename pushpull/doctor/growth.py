"""How much there will be in a month, if messages go on coming as they do: pure, with each step kept to be shown.

Theory of operation. Two counts give the rate of all conversations together. The logs of a sample give its shape: who
gets how much of it, by what each log holds and since when. Each log then grows by its part, up to what its retention
lets it keep, and the sample stands for all. That matters: a hot group of ten messages a second is 26 million in a
month, and 100,000 with retention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from pushpull.settings import Retention
from pushpull.store.facts import LogFacts, TrafficFacts

DAYS: Final = 30
DAY_S: Final = 86_400
MESSAGE_BYTES: Final = 277  # in the log, at 200 bytes of text; where there is nothing to measure
MEASURABLE: Final = 50  # messages of a log from which on its size is theirs and not that of an empty stream
YOUNGEST_S: Final = 3_600.0  # a log that is younger says too little of its rate
COUNTED: Final = 10  # messages in the look from which on they say more than the average
EARLIEST_S: Final = 600.0  # of Redis' life, before which an average says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """`per_s` messages of all conversations now; `come` in DAYS, of which `stay`, each of `message_bytes`."""

    per_s: float
    over_s: float  # what that was counted over
    logs: int
    conversations: float
    message_bytes: float
    come: float
    stay: float
    used_bytes: int

    @property
    def added_bytes(self) -> float:
        return self.stay * self.message_bytes

    @property
    def then_bytes(self) -> float:
        return self.used_bytes + self.added_bytes


def rate_of(traffic: TrafficFacts) -> tuple[float, float] | None:
    """Messages a second, and the seconds they were counted over: now, or on the average where that is more.

    None: too few were counted in too short a time.
    """
    average = traffic.appended_before / traffic.before_s if traffic.before_s >= EARLIEST_S else 0.0
    now = traffic.appended / traffic.over_s if traffic.appended >= COUNTED and traffic.over_s else 0.0
    if now >= average and now:
        return now, traffic.over_s
    return (average, traffic.before_s) if traffic.before_s >= EARLIEST_S else None


def growth(traffic: TrafficFacts, retention: Retention, used_bytes: int) -> Growth | None:
    """What comes, what stays; None where the rate cannot be told yet, or nothing is stored."""
    rate = rate_of(traffic)
    if rate is None or not traffic.logs or not traffic.looked_at:
        return None
    per_s, over_s = rate
    conversations = max(len(traffic.logs), traffic.conversations * traffic.keys / traffic.looked_at)
    stands_for = conversations / len(traffic.logs)
    seen = [_rate(log, traffic.now_ms) for log in traffic.logs]
    factor = per_s / (stands_for * sum(seen))
    stay = sum(_stays(log, each * factor, retention) for log, each in zip(traffic.logs, seen, strict=True))
    return Growth(
        per_s=per_s,
        over_s=over_s,
        logs=len(traffic.logs),
        conversations=conversations,
        message_bytes=_message_bytes(traffic.logs),
        come=per_s * DAYS * DAY_S,
        stay=stay * stands_for,
        used_bytes=used_bytes,
    )


def _rate(log: LogFacts, now_ms: int) -> float:
    return log.messages / max(YOUNGEST_S, (now_ms - log.since_ms) / 1000)


def _stays(log: LogFacts, per_s: float, retention: Retention) -> float:
    """How many more there are in this log after DAYS."""
    most = log.most if log.most is not None else retention.max_messages
    days = log.days if log.days is not None else retention.max_age_days
    by_number = most or math.inf
    by_age = per_s * days * DAY_S if 0 < days <= DAYS else math.inf
    return max(0.0, min(log.messages + per_s * DAYS * DAY_S, by_number, by_age) - log.messages)


def _message_bytes(logs: tuple[LogFacts, ...]) -> float:
    measured = [log for log in logs if log.messages >= MEASURABLE]
    if not measured:
        return float(MESSAGE_BYTES)
    return sum(log.size_bytes for log in measured) / sum(log.messages for log in measured)
