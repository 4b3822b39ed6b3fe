"""What a node says of itself every few seconds, for operators: figures, and its busiest conversations.

Two reports can be added, whoever made them: counts of a stretch of time and its length, and for latencies the counts of
the buckets. Quantiles are read off the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

COUNTED: Final = (
    "appends",
    "deliveries",
    "redeliveries",
    "acks",
    "notices",
    "pulls",
    "demotions",
    "promotions",
    "exhausted",
    "signals",
    "receipts",
    "lost_bells",
)
"""Of node.metrics: what is told by the second and since the start."""

MOST_BUSY: Final = 50
"""Conversations in a report. All nodes see about the same rate, so who is among the first 50 of all is so on each."""


class BusyHere(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation with messages lately, as one node serves it.

    `rate`: messages a second, smoothed. `setting`: its own `mode`; `mode` and `why`: the one in force. `pushed` to
    `told`: how many devices here are served in each way.
    """

    cid: str
    rate: float
    members: int
    setting: str
    mode: str
    why: str
    busy: bool
    pushed: int
    gathered: int
    notified: int
    told: int

    @property
    def devices(self) -> int:
        return self.pushed + self.gathered + self.notified + self.told


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One node, now, and over the last `over_s` seconds.

    `since_start` and `lately` are counts of COUNTED. `append_counts` and `delivery_counts`: how many of the times of
    that stretch fell into each bucket of the metric of that name.
    """

    over_s: float
    load: float
    lag_ms: float
    sessions: int
    feeds: int
    windows: int
    waiting_sends: int
    shedding: int
    since_start: dict[str, int]
    lately: dict[str, int]
    append_counts: tuple[int, ...]
    delivery_counts: tuple[int, ...]
    busiest: tuple[BusyHere, ...]


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Report).decode


def decode(text: bytes | None) -> Report | None:
    """What was encoded; None for nothing, and for what another release says in other words."""
    if text is None:
        return None
    try:
        return _decode(text)
    except msgspec.MsgspecError:
        return None


def quantile(edges: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The time below which `share` (0 to 1) of those counted lie, evenly spread inside a bucket; None: there are none.

    `counts` has one bucket for each of the ascending `edges`, and one for what is above them: of that it is only known
    that it was longer than the last edge.
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    below, least = 0, 0.0
    for most, count in zip(edges, counts, strict=False):
        if below + count >= wanted:
            return least + (most - least) * (wanted - below) / count
        below, least = below + count, most
    return edges[-1]
