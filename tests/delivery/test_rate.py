"""Averages that forget: how often messages come, how busy a node is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushpull.delivery.rate import RATE_S, Rate, Smoothed


def test_a_steady_rate_is_found_within_a_few_time_constants() -> None:
    rate = Rate(100)
    for second in range(1, 51):
        rate.look(100 + 20 * second, float(second))

    assert rate.per_s == pytest.approx(20.0, rel=0.01)


def test_a_burst_of_a_second_hardly_counts() -> None:
    rate = Rate(0)
    rate.look(0, 0.0)
    rate.look(50, 1.0)

    assert rate.per_s == pytest.approx(4.76, abs=0.01)  # 50 × (1 − e^(−1/10))


def test_of_what_was_a_third_is_left_after_the_time_constant() -> None:
    load = Smoothed(5.0, 1.0)
    load.take(0.0, over_s=5.0)

    assert load.value == pytest.approx(0.368, abs=0.001)


@given(looks=st.lists(st.floats(0.1, 3.0), min_size=1, max_size=30))
def test_it_does_not_matter_how_often_one_looks(looks: list[float]) -> None:
    often, once = Smoothed(RATE_S), Smoothed(RATE_S)
    for over_s in looks:
        often.take(7.0, over_s=over_s)
    once.take(7.0, over_s=sum(looks))

    assert often.value == pytest.approx(once.value)


def test_a_head_that_fell_counts_as_none_new() -> None:
    rate = Rate(100)
    rate.look(50, 1.0)
    assert rate.per_s == 0.0

    rate.look(60, 2.0)
    assert rate.per_s > 0.0


def test_silence_dies_away_and_what_comes_after_a_rest_begins_anew() -> None:
    rate = Rate(0)
    rate.look(1, 0.0)
    rate.look(1, 60.0)
    assert rate.quiet
    rate.rest()

    rate.look(11, 5_000.0)

    assert rate.per_s == pytest.approx(0.95, abs=0.01)  # ten in the second before, not in an hour


def test_two_looks_at_one_moment_count_once() -> None:
    rate = Rate(0)
    rate.look(5, 1.0)
    before = rate.per_s
    rate.look(9, 1.0)
    assert rate.per_s == before

    rate.look(9, 2.0)

    assert rate.per_s > before
