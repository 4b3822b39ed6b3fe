"""What each rule makes of a conversation, with the service's own policy, and how a sweep is laid out."""

from __future__ import annotations

import math

import pytest

from pushpull.delivery.costs import Habits, Prices, notify, push
from pushpull.settings import Delivery
from pushpull.tune.measure import groups, lookers
from pushpull.tune.outcomes import Crowd, Rule, always_notify, always_push, by_policy, by_size, cost_per_s

PRICES = Prices(frames=12e-6, acks=13e-6, notices=12e-6, pulls=10e-6, sends=300e-6, flushes=600e-6)
SETTINGS = Delivery(push_max_members=200, push_max_per_s=15.0, push_window_ms=250, notify_away_ms=2_000)
MIXED = Crowd(10_000, 20.0, Habits(viewers=0.05, visit_s=math.inf))


def cores(crowd: Crowd, *rules: Rule) -> list[float]:
    return [cost_per_s([crowd], rule, PRICES, SETTINGS) for rule in rules]


def test_where_few_look_at_a_hot_group_the_policy_costs_less_than_half_of_both() -> None:
    pushed, notified, policy = cores(MIXED, always_push, always_notify, by_policy)

    assert policy < 0.5 * pushed
    assert policy < 0.5 * notified


def test_in_a_calm_small_conversation_the_policy_pushes_to_everybody() -> None:
    calm = Crowd(10, 0.5, Habits(viewers=0.3))

    assert by_policy(calm, SETTINGS) == pytest.approx(push(0.5, calm.habits))


def test_the_size_alone_decides_for_those_who_say_nothing() -> None:
    habits = Habits(viewers=0.3)

    assert by_size(Crowd(200, 5.0, habits), SETTINGS) == push(5.0, habits)
    assert by_size(Crowd(201, 5.0, habits), SETTINGS) == notify(5.0, habits, interval_s=0.2)


@pytest.mark.parametrize("members", [5, 20, 200, 1_000, 10_000])
@pytest.mark.parametrize("viewers", [0.02, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("rate", [0.01, 0.3, 1.0, 4.0, 12.0, 50.0])
def test_by_the_model_the_policy_is_near_the_better_of_both_wherever_it_is_not_cheap_anyhow(
    members: int, viewers: float, rate: float
) -> None:
    crowd = Crowd(members, rate, Habits(viewers=viewers, visit_s=math.inf))

    pushed, notified, policy = cores(crowd, always_push, always_notify, by_policy)

    assert policy <= 1.1 * min(pushed, notified) or members * rate <= SETTINGS.push_max_per_s * 1.1


def test_costs_of_conversations_add_up() -> None:
    assert cost_per_s([MIXED, MIXED], by_policy, PRICES, SETTINGS) == pytest.approx(2 * cores(MIXED, by_policy)[0])


# ------------------------------------------------------------------------------------------------ the sweep


def test_everybody_is_in_one_group_of_each_size() -> None:
    made = groups(["a", "b", "c", "d"], 2)

    assert made == {"s2-0": ["a", "b"], "s2-1": ["c", "d"]}


def test_at_least_one_of_a_group_looks() -> None:
    assert lookers(["a", "b", "c", "d"], 0.5) == ["a", "b"]
    assert lookers(["a", "b", "c", "d"], 0.01) == ["a"]
