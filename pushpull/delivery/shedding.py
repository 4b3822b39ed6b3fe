"""What is left out while a node has more to do than it can: never a message, an ack or an answer.

In this order: signals (typing…) and who is present, which nobody misses; then receipts, which are told later; then what
notices carry beside the notice, inline bodies and rings of their own for mentions: those who are told pull anyway.

    level                          loop lag ≥      or waiting sends ≥      or load ≥
    1  signals, presence           0.10 s          25 % of their bound     0.97
    2  receipts                    0.25 s          50 %                    0.99
    3  notices' extras             0.50 s          75 %                    -

A level ends when all three are below 60 % (load: 0.1 less) of what began it; one level a second, so that what is let in
again can show what it costs. Load alone never sheds extras: an inline body costs less than the pull that it saves.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final


class Extra(Enum):
    """What may be left out; `value` is its name in the metrics, `level` from which on it is."""

    SIGNAL = "signal"
    PRESENCE = "presence"
    RECEIPT = "receipt"
    INLINE = "inline"
    MENTION = "mention"

    @property
    def level(self) -> int:
        return _LEVELS[self]


_LEVELS: Final = {Extra.SIGNAL: 1, Extra.PRESENCE: 1, Extra.RECEIPT: 2, Extra.INLINE: 3, Extra.MENTION: 3}


@dataclass(frozen=True, slots=True)
class Strain:
    """How hard a node works: `load` 0 to 1 of the loop's time, `lag_s` of its timers, `waiting` 0 to 1 of its bound."""

    load: float
    lag_s: float
    waiting: float


NEVER: Final = 2.0
_BEGINS: Final = (
    Strain(load=0.97, lag_s=0.10, waiting=0.25),
    Strain(load=0.99, lag_s=0.25, waiting=0.50),
    Strain(load=NEVER, lag_s=0.50, waiting=0.75),
)
_ENDS_AT: Final = 0.6
_LOAD_LESS: Final = 0.1


def next_level(level: int, strain: Strain) -> int:
    """The level (0 to 3) after `level`, the last second having been `strain`: up at once, down by one."""
    reached = max((n for n, begins in enumerate(_BEGINS, 1) if _reaches(strain, begins)), default=0)
    if reached >= level:
        return reached
    return level if _holds(strain, _BEGINS[level - 1]) else level - 1


def _reaches(strain: Strain, begins: Strain) -> bool:
    return strain.load >= begins.load or strain.lag_s >= begins.lag_s or strain.waiting >= begins.waiting


def _holds(strain: Strain, begins: Strain) -> bool:
    ends = Strain(begins.load - _LOAD_LESS, begins.lag_s * _ENDS_AT, begins.waiting * _ENDS_AT)
    return _reaches(strain, ends)
