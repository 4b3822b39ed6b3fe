"""The grid that is measured: sizes of group, messages a second in each, share of members who look at it.

Every point has the same number of members in all (`members`), in one group or in many, so that each costs enough to
be measured and what a point costs can be compared with any other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import msgspec

from pushpull.bench.audience import Way
from pushpull.bench.stage import SETTLE_S

COMPARED: Final[tuple[Way, ...]] = ("push", "notify", "policy")


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    members: int  # connected, at every point; the largest group
    sizes: tuple[int, ...]  # of a group; each divides `members`, and the largest is all of them
    rates: tuple[float, ...]  # messages a second in each group
    viewers: tuple[float, ...]  # share who look, 0 to 1
    stretch_s: float
    warm_s: float = 0.7  # before it, at the same rate
    settle_s: float = SETTLE_S  # before and after: until rounds are out and cursors are written
    unit_turns: int = 3  # of the stretches that tell kinds of work apart: there are few of them
    body_bytes: int = 200
    deliveries_per_s: float = 30_000.0  # more than that is left out: a full service would be what is measured


@dataclass(frozen=True, slots=True)
class Spot:
    """One point of the grid: groups of `size` connected members with `rate` messages a second each."""

    size: int
    rate: float
    viewers: float


FULL: Final = Scale(
    name="full",
    members=1_000,
    sizes=(20, 200, 1_000),
    rates=(1.0, 4.0, 12.0),
    viewers=(0.05, 0.5, 1.0),
    stretch_s=3.0,
)

QUICK: Final = Scale(
    name="quick",
    members=1_000,
    sizes=(20, 1_000),
    rates=(2.0, 12.0),
    viewers=(0.05, 1.0),
    stretch_s=1.5,
    warm_s=0.4,
    unit_turns=1,
)

TINY: Final = Scale(
    name="tiny",
    members=20,
    sizes=(20,),
    rates=(20.0,),
    viewers=(0.5,),
    stretch_s=0.3,
    warm_s=0.1,
    settle_s=0.2,
    unit_turns=1,
)


def steps(scale: Scale) -> Iterator[tuple[Spot, tuple[Way, ...]]]:
    """The grid's spots, each with the ways that are compared there.

    Gathered pushes are measured where everybody looks at the largest group: what a frame costs for each message in it.
    """
    for spot in spots(scale):
        everybody = spot.size == max(scale.sizes) and spot.viewers == max(scale.viewers)
        yield spot, (*COMPARED, "batched") if everybody else COMPARED


def spots(scale: Scale) -> Iterator[Spot]:
    """The grid's spots, group size by group size, those that are too much left out."""
    for size, viewers, rate in itertools.product(scale.sizes, scale.viewers, scale.rates):
        if rate * scale.members <= scale.deliveries_per_s:
            yield Spot(size, rate, viewers)
