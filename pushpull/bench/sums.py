"""What the load processes counted and answered, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushpull.bench.load import Counts
from pushpull.bench.spread import Spread


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of posts over HTTP."""

    calls: int
    stored: int
    refused: int
    times: Spread


@dataclass(frozen=True, slots=True)
class Pulled:
    """What became of pages over HTTP; `short`: those that held another number of messages than was asked for."""

    pages: int
    short: int
    times: Spread


class Totals:
    """The counts of all processes together."""

    def __init__(self, parts: Sequence[Counts]) -> None:
        def total(name: str) -> int:
            return sum(getattr(part, name) for part in parts)

        self.frames, self.items, self.repeated, self.gaps = map(total, ("frames", "items", "repeated", "gaps"))
        self.notices, self.pulled, self.acked, self.sent = map(total, ("notices", "pulled", "acked", "sent"))
        self.live, self.lost, self.received_bytes = map(total, ("live", "lost", "received_bytes"))
        self.delivery = added(part.delivery for part in parts)
        self.answer = added(part.answer for part in parts)
        self.opening = added(part.opening for part in parts)
        self.errors: Counter[str] = Counter()
        for part in parts:
            self.errors.update(part.errors)


def added(parts: Iterable[Mapping[int, int]]) -> Spread:
    spread = Spread()
    for ticks in parts:
        spread.merge(Spread(ticks))
    return spread


def times_of(answers: Sequence[dict[str, Any]]) -> Spread:
    return added({int(tick): count for tick, count in answer["times"].items()} for answer in answers)


def pulled_of(answers: Sequence[dict[str, Any]]) -> Pulled:
    return Pulled(
        pages=sum(answer["pages"] for answer in answers),
        short=sum(answer["short"] for answer in answers),
        times=times_of(answers),
    )
