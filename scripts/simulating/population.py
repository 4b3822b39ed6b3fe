"""A population of conversations: sizes and rates by heavy tails, in classes and not one by one.

Sizes follow a power law, P(n) ∝ n^−`size_exponent` from 2 on: most are talks of two, a few are huge. They are taken in
classes, each a short range of sizes. How lively a conversation is follows a log-normal law: most are silent, a few are
hot. In each class some liveliness is drawn by chance, one draw in each of as many equal shares of the law, so that the
tails are there whatever the seed.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True, slots=True)
class Assumptions:
    """`talk_per_hour`: messages that a connected member writes in one conversation, on average over all of them.

    `stored_us` and `flush_us` stand for two prices that a sweep does not tell apart: it finds their sum.
    Of a conversation's connected members the share `viewers_floor` + `viewers_pair` × √(2 / size) has it on screen.
    """

    users: int = 10_000_000
    nodes: int = 100
    connected: float = 0.3  # share of users, at the busy hour
    conversations_per_user: float = 20.0
    size_exponent: float = 2.6
    size_max: int = 100_000
    talk_per_hour: float = 1.0
    liveliness_sigma: float = 2.0
    rate_max: float = 200.0  # limits.conversation_sends_per_s
    viewers_floor: float = 0.02
    viewers_pair: float = 0.38
    visit_s: float = 1_800.0  # between two looks of one who does not
    heard_us: float = 20.0  # a message, on each node but the sender's that has a member of its conversation
    stored_us: float = 450.0  # a message stored, at the rate of one of the nodes
    flush_us: float = 100.0  # a call that writes a conversation's cursors
    seed: int = 1

    def viewers(self, size: float) -> float:
        return min(1.0, self.viewers_floor + self.viewers_pair * math.sqrt(2 / size))


@dataclass(frozen=True, slots=True)
class Kind:
    """`count` conversations of `size` members, of whom `connected` are, with `rate` messages a second in each."""

    size: int
    connected: float
    rate: float
    viewers: float
    count: float


@dataclass(frozen=True, slots=True)
class SizeClass:
    """Conversations of `first` to `last` members; `share`: of all conversations; `size`: their mean."""

    first: int
    last: int
    share: float
    size: float


def size_classes(assumptions: Assumptions, *, per_decade: int = 12) -> list[SizeClass]:
    """All sizes from 2 on. Single ones while classes are that short, then more and more in each."""
    edges, end = [2], assumptions.size_max + 1
    while edges[-1] < end:
        edges.append(min(max(edges[-1] + 1, round(edges[-1] * 10 ** (1 / per_decade))), end))
    total = sum(n**-assumptions.size_exponent for n in range(2, end))
    classes = []
    for first, after in itertools.pairwise(edges):
        weights = [n**-assumptions.size_exponent for n in range(first, after)]
        mean = sum(n * w for n, w in zip(range(first, after), weights, strict=True)) / sum(weights)
        classes.append(SizeClass(first, after - 1, sum(weights) / total, mean))
    return classes


def conversations(assumptions: Assumptions, classes: list[SizeClass]) -> float:
    """How many there are, for everybody to be in as many as is assumed."""
    mean_size = sum(each.share * each.size for each in classes)
    return assumptions.users * assumptions.conversations_per_user / mean_size


def kinds(assumptions: Assumptions, *, draws: int = 200) -> Iterator[tuple[SizeClass, list[Kind]]]:
    """Class by class, each with its draws."""
    classes = size_classes(assumptions)
    in_all = conversations(assumptions, classes)
    chance = random.Random(assumptions.seed)
    for each in classes:
        count = in_all * each.share / draws
        yield each, [_kind(assumptions, each, count, (n + chance.random()) / draws) for n in range(draws)]


def _kind(assumptions: Assumptions, each: SizeClass, count: float, place: float) -> Kind:
    """`place`: where in the law of liveliness, 0 to 1."""
    connected = each.size * assumptions.connected
    sigma = assumptions.liveliness_sigma
    lively = math.exp(sigma * NormalDist().inv_cdf(min(max(place, 1e-9), 1 - 1e-9)) - sigma**2 / 2)
    rate = min(connected * assumptions.talk_per_hour / 3600 * lively, assumptions.rate_max)
    return Kind(round(each.size), connected, rate, assumptions.viewers(each.size), count)
