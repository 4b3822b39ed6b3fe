"""Prices from stretches, and the crossover that follows from them."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, replace

import pytest

from pushpull.delivery.costs import Habits, Prices, Work, notify, push, shared
from pushpull.errors import ConfigError
from pushpull.tune.crossover import crossing
from pushpull.tune.fit import Observed, fit, misfit, non_negative_least_squares
from pushpull.tune.sweep import FULL, Spot, spots

MICRO = 1e-6
KNOWN = Prices(
    frames=10 * MICRO,
    items=0.5 * MICRO,
    acks=9 * MICRO,
    notices=8 * MICRO,
    pulls=12 * MICRO,
    sends=180 * MICRO,
    flushes=300 * MICRO,
)
INTERVAL_S = 0.2

LOOK = Habits(viewers=1.0, visit_s=math.inf)


def whole(served: Work, spot: Spot, habits: Habits) -> Work:
    return served + shared(served, rate=spot.rate, members=spot.size, habits=habits)


def at(spot: Spot) -> list[Work]:
    """What both ways make of a spot."""
    habits = Habits(viewers=spot.viewers, visit_s=math.inf)
    served = push(spot.rate, habits), notify(spot.rate, habits, interval_s=INTERVAL_S)
    return [whole(work, spot, habits) for work in served]


def stretches(prices: Prices, *, noise: float = 0.0, seed: int = 1, runs: int = 1) -> list[Observed]:
    """What sweeps over the grid would see on a machine with these prices, each time off by some `noise`."""
    chance = random.Random(seed)
    works = [work for spot in spots(FULL) for work in at(spot)]
    busiest = Spot(max(FULL.sizes), max(FULL.rates), 1.0)
    works += [whole(push(rate, LOOK, window_s=0.25), Spot(busiest.size, rate, 1.0), LOOK) for rate in FULL.rates]
    works += [whole(push(busiest.rate, Habits(ack_delay_s=0.0)), busiest, LOOK)] * FULL.unit_turns
    smallest = Spot(min(FULL.sizes), max(FULL.rates), 1.0)
    works += [whole(replace(push(smallest.rate, LOOK), acks=0.0), smallest, LOOK)] * FULL.unit_turns
    works += [Work(frames=500, items=500, pulls=500), Work(frames=300, items=30_000, pulls=300)] * FULL.unit_turns
    return [Observed(work, prices.of(work) * chance.gauss(1.0, noise)) for work in works * runs]


def test_prices_are_found_again_where_nothing_disturbs() -> None:
    found = asdict(fit(stretches(KNOWN)))

    assert found == pytest.approx(asdict(KNOWN), rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("viewers", [0.5, 1.0])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_known_crossover_is_found_within_a_tenth(noise: float, viewers: float, seed: int) -> None:
    habits = Habits(viewers=viewers)
    truth = crossing(KNOWN, habits, interval_s=INTERVAL_S, tolerance=0.1)

    found = crossing(
        fit(stretches(KNOWN, noise=noise, seed=seed, runs=3)), habits, interval_s=INTERVAL_S, tolerance=0.1
    )

    assert truth is not None
    assert 0.1 < truth < 100
    assert found == pytest.approx(truth, rel=0.1)


def test_at_the_crossover_both_ways_cost_the_same() -> None:
    habits = Habits(viewers=1.0)
    rate = crossing(KNOWN, habits, interval_s=INTERVAL_S)

    assert rate is not None
    assert KNOWN.of(push(rate, habits)) == pytest.approx(KNOWN.of(notify(rate, habits, interval_s=INTERVAL_S)))
    assert KNOWN.of(push(rate * 2, habits)) > KNOWN.of(notify(rate * 2, habits, interval_s=INTERVAL_S))


def test_where_a_notice_is_always_cheaper_there_is_no_crossover() -> None:
    nobody_looks = Habits(viewers=0.0, visit_s=math.inf)

    assert crossing(KNOWN, nobody_looks, interval_s=INTERVAL_S) is None


def test_where_pulls_are_too_dear_a_push_is_always_cheaper() -> None:
    dear = Prices(frames=10 * MICRO, notices=10 * MICRO, pulls=1.0)

    assert crossing(dear, Habits(viewers=1.0), interval_s=INTERVAL_S) == math.inf


def test_prices_are_never_below_zero() -> None:
    seen = [Observed(Work(frames=100, acks=100), 1.0), Observed(Work(frames=100, acks=200), 0.9)]

    prices = fit(seen)

    assert prices.acks == 0.0
    assert prices.frames > 0.0


def test_work_that_was_not_seen_has_no_price() -> None:
    assert fit([Observed(Work(frames=100), 0.5)]) == Prices(frames=pytest.approx(0.005))


def test_stretches_without_cost_say_nothing() -> None:
    with pytest.raises(ConfigError, match="no stretch of 1 has any cpu_s"):
        fit([Observed(Work(frames=1), 0.0)])


def test_a_misfit_is_the_share_by_which_the_prices_are_off() -> None:
    assert misfit(Prices(frames=0.02), Observed(Work(frames=60), 1.0)) == pytest.approx(0.2)


def test_least_squares_with_a_bound_leaves_out_what_would_be_negative() -> None:
    assert non_negative_least_squares([[1.0, 1.0], [1.0, 2.0]], [2.0, 1.0]) == pytest.approx([1.5, 0.0])
