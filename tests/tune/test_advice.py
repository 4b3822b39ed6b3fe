"""The settings that follow from prices and measured points, and what they are beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import pytest

from pushpull.bench.audience import WINDOW_MS, Way
from pushpull.bench.spread import Summary
from pushpull.delivery.costs import Habits, Prices, Work
from pushpull.settings import Delivery
from pushpull.tune.advice import Setting, Wishes, advise, round_to_two, savings, with_advice
from pushpull.tune.crossover import Talk, crossing
from pushpull.tune.fit import Observed
from pushpull.tune.measure import Point
from pushpull.tune.regret import compared, mean_regret, policy_regrets
from pushpull.tune.sweep import QUICK, Spot, spots, steps

PRICES = Prices(frames=10e-6, acks=10e-6, notices=10e-6, pulls=10e-6, sends=200e-6, flushes=300e-6)
SETTINGS = Delivery()


def point(way: Way, *, size: int = 100, cpu_s: float = 1.0, p99_ms: float = 250.0) -> Point:
    """A stretch of 2 s with 1,000 members."""
    return Point(
        way=way,
        spot=Spot(size, 5.0, 0.5),
        members=1_000,
        seconds=2.0,
        did=Observed(Work(frames=10), cpu_s),
        redis_cpu_s=0.1,
        late=Summary(count=10, p99_ms=p99_ms),
        load_share=0.5,
        other_cores=0.0,
        wrong=[],
    )


def wishes(*, per_hour: float = 36.0, viewers: float = 0.5, late_ms: float = 500.0) -> Wishes:
    return Wishes(Talk(per_hour / 3600, Habits(viewers=viewers)), late_ms)


def advised(rows: list[Setting]) -> Mapping[str, float]:
    return {row.key: row.advised for row in rows}


def test_the_threshold_is_where_a_group_talks_as_fast_as_the_crossover() -> None:
    rate = crossing(PRICES, Habits(viewers=0.5), interval_s=0.2, tolerance=0.1)

    rows = advise(PRICES, [], SETTINGS, wishes(per_hour=36.0))

    assert rate is not None
    assert advised(rows)["push_max_members"] == round_to_two(rate / 0.01)


def test_members_who_talk_more_make_a_lower_threshold() -> None:
    calm, lively = (advised(advise(PRICES, [], SETTINGS, wishes(per_hour=n))) for n in (4.0, 40.0))

    assert calm["push_max_members"] == pytest.approx(10 * lively["push_max_members"], rel=0.1)


def test_a_notice_that_costs_nothing_leaves_a_threshold_of_one() -> None:
    free = Prices(frames=10e-6, acks=10e-6)
    never = Wishes(Talk(0.01, Habits(viewers=0.0, visit_s=math.inf)))

    assert advised(advise(free, [], SETTINGS, never))["push_max_members"] == 1


def test_pushes_of_one_conversation_may_take_a_small_share_of_a_core() -> None:
    assert advised(advise(PRICES, [], SETTINGS, wishes()))["push_max_per_s"] == pytest.approx(0.0004 / 20e-6)


def test_windows_are_as_long_as_a_message_may_be_late_less_what_the_way_took() -> None:
    points = [point("batched", p99_ms=WINDOW_MS + 45), point("notify", p99_ms=SETTINGS.notify_interval_ms + 120)]

    found = advised(advise(PRICES, points, SETTINGS, wishes(late_ms=500.0)))

    assert found["push_window_ms"] == 450
    assert found["notify_interval_ms"] == 380


def test_what_was_not_measured_stays_as_it_is() -> None:
    found = advised(advise(PRICES, [], SETTINGS, wishes()))

    assert found["push_window_ms"] == SETTINGS.push_window_ms
    assert found["notify_interval_ms"] == SETTINGS.notify_interval_ms


def test_longer_windows_and_fewer_pushes_save() -> None:
    rows = advise(PRICES, [point("batched", p99_ms=WINDOW_MS)], SETTINGS, wishes())

    saved = savings(PRICES, SETTINGS, rows, wishes())

    assert with_advice(SETTINGS, rows).push_window_ms == 500
    assert saved[-1].advised_cores < saved[-1].now_cores
    assert [row.members for row in saved] == sorted(row.members for row in saved)


@pytest.mark.parametrize(("value", "rounded"), [(0.4, 0), (7.9, 7), (57.3, 57), (1_234.0, 1_200), (99_999.0, 99_000)])
def test_advice_has_two_digits(value: float, rounded: int) -> None:
    assert round_to_two(value) == rounded


# ------------------------------------------------------------------------------------------------ regret


def test_the_regret_of_a_threshold_is_what_it_costs_above_the_better_way() -> None:
    rows = compared(
        [
            *(point("push", size=20, cpu_s=1.0), point("notify", size=20, cpu_s=1.5)),
            *(point("push", size=200, cpu_s=3.0), point("notify", size=200, cpu_s=2.0)),
        ]
    )

    assert [mean_regret(rows, threshold) for threshold in (0, 20, 200)] == [0.25, 0.0, 0.25]


def test_the_policy_may_cost_less_than_both() -> None:
    rows = compared([point("push", cpu_s=2.0), point("notify", cpu_s=1.0), point("policy", cpu_s=0.8)])

    assert policy_regrets(rows) == [pytest.approx(-0.2)]


def test_a_spot_measured_in_one_way_alone_is_not_compared() -> None:
    assert compared([point("push"), point("policy")]) == []
    assert policy_regrets(compared([point("push"), point("notify")])) == []


# ------------------------------------------------------------------------------------------------ the grid


def test_a_spot_with_more_than_the_service_can_push_is_left_out() -> None:
    scale = msgspec.structs.replace(QUICK, rates=(2.0, 500.0))

    assert {spot.rate for spot in spots(scale)} == {2.0}


def test_gathered_pushes_are_measured_where_everybody_looks_at_the_largest_group() -> None:
    batched = [spot for spot, ways in steps(QUICK) if "batched" in ways]

    assert batched == [Spot(1_000, rate, 1.0) for rate in QUICK.rates]
