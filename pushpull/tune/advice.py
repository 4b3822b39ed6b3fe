"""The settings that follow from the prices, each with its reason, and what they save.

push_max_members    the largest conversation in which a push to everybody costs at most a tenth more than to notify all
                    and let those come who look; it decides for devices that do not say what is on their screen. It
                    needs to be known how much members write (`Talk`)
push_max_per_s      so many pushes a second that one conversation takes SPENT of a core with them; beyond it, who looks
                    is served together and who does not is only told
push_window_ms,     as long as who looks may wait at the 99th percentile, less what the way itself took in the sweep:
notify_interval_ms  longer ones always cost less
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pushpull.bench.audience import WINDOW_MS, Way
from pushpull.delivery.costs import Prices
from pushpull.settings import Delivery
from pushpull.tune.crossover import Talk, crossing
from pushpull.tune.measure import Point
from pushpull.tune.outcomes import Crowd, by_policy, cost_per_s

TOLERANCE: Final = 0.1
"""A push is worth so much more: bodies at once, redelivery, receipts."""
SPENT: Final = 0.0004
MEMBERS_MAX: Final = 100_000
WAIT_MIN_MS: Final = 50
STEP_MS: Final = 10
SIZES: Final = (10, 30, 100, 300, 1_000, 3_000, 10_000)
"""Conversations on which savings are stated: all sizes alike, each written in as its members talk."""


class Setting(msgspec.Struct, frozen=True):
    """`key` in section `delivery`: what it is, what it should be, and why."""

    key: str
    now: int | float
    advised: int | float
    why: str


class Saving(msgspec.Struct, frozen=True):
    """Cores for one conversation of so many connected members: with the settings as they are, and as advised."""

    members: int
    rate: float
    now_cores: float
    advised_cores: float


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the operator knows: how members talk, and how long (ms) a message may take to who looks, in 99 of 100."""

    talk: Talk
    late_ms: float = 500.0


def advise(prices: Prices, points: Sequence[Point], settings: Delivery, wishes: Wishes) -> list[Setting]:
    """A row for each setting, also where nothing is to be changed."""
    return [
        _push_max_members(prices, settings, wishes),
        _push_max_per_s(prices, settings),
        _interval("push_window_ms", "batched", WINDOW_MS, points, settings, wishes),
        _interval("notify_interval_ms", "notify", Delivery().notify_interval_ms, points, settings, wishes),
    ]


def savings(prices: Prices, settings: Delivery, advised: Sequence[Setting], wishes: Wishes) -> list[Saving]:
    """By the model, and the policy with devices that say what is on their screen."""
    then = with_advice(settings, advised)
    rows = []
    for members in SIZES:
        crowd = Crowd(members, members * wishes.talk.per_member_s, wishes.talk.habits)
        now_cores, then_cores = (cost_per_s([crowd], by_policy, prices, chosen) for chosen in (settings, then))
        rows.append(Saving(members, crowd.rate, now_cores, then_cores))
    return rows


def with_advice(settings: Delivery, advised: Sequence[Setting]) -> Delivery:
    """The settings with what is advised."""
    return msgspec.structs.replace(settings, **{row.key: row.advised for row in advised})


def _push_max_members(prices: Prices, settings: Delivery, wishes: Wishes) -> Setting:
    talk = wishes.talk
    interval_s = settings.notify_interval_ms / 1000
    rate = crossing(prices, talk.habits, interval_s=interval_s, tolerance=TOLERANCE)
    if rate is None:
        advised, why = 1, "a push costs more at any rate"
    elif math.isinf(rate):
        advised, why = MEMBERS_MAX, "a push costs no more at any rate"
    else:
        advised = min(max(1, round_to_two(rate / talk.per_member_s)), MEMBERS_MAX)
        why = f"up to {rate:.2g} msg/s a push costs at most {TOLERANCE:.0%} more"
    return Setting("push_max_members", settings.push_max_members, advised, f"{why}; {_as_talked(talk)}")


def _as_talked(talk: Talk) -> str:
    per_hour = talk.per_member_s * 3600
    return f"a member writes {per_hour:g} messages an hour, {talk.habits.viewers:.0%} look"


def _push_max_per_s(prices: Prices, settings: Delivery) -> Setting:
    each_s = prices.frames + prices.items + prices.acks
    advised = float(max(1, round_to_two(SPENT / each_s))) if each_s else settings.push_max_per_s
    why = f"a push with its ack takes {each_s * 1e6:.3g} µs; {SPENT:.2%} of a core for one conversation"
    return Setting("push_max_per_s", settings.push_max_per_s, advised, why)


def _interval(
    key: str, way: Way, measured_ms: float, points: Sequence[Point], settings: Delivery, wishes: Wishes
) -> Setting:
    """As long as allowed: what it took beyond the interval that was measured is taken off."""
    now = getattr(settings, key)
    late = [point.late.p99_ms - measured_ms for point in points if point.way == way and point.late.count]
    if not late:
        return Setting(key, now, now, "not measured")
    beyond_ms = max(0.0, sorted(late)[len(late) // 2])
    advised = max(WAIT_MIN_MS, int((wishes.late_ms - beyond_ms) // STEP_MS * STEP_MS))
    return Setting(
        key, now, advised, f"{wishes.late_ms:g} ms at the 99th percentile, {beyond_ms:.0f} of them under way"
    )


def round_to_two(value: float) -> int:
    """Two digits that count: more would claim to be known."""
    if value < 1:
        return 0
    scale = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return int(value // scale * scale)
