"""What delivery costs: the work of each way, from how often messages come and who looks."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushpull.delivery.costs import Habits, Prices, Work, acks_per_s, alone_share, notify, push, rounds_per_s, shared

LOOKS = Habits(viewers=1.0, visit_s=math.inf)
AWAY = Habits(viewers=0.0, visit_s=math.inf)

rates = st.floats(0.001, 1_000)
intervals = st.floats(0.001, 10)


def rounds_of(moments: list[float], interval_s: float) -> list[int]:
    """How many messages each round carries where the first goes at once, and then one round an interval."""
    rounds: list[int] = []
    waiting, next_at = 0, 0.0
    for moment in moments:
        while waiting and next_at <= moment:
            rounds.append(waiting)
            waiting, next_at = 0, next_at + interval_s
        if moment >= next_at:
            rounds.append(1)
            next_at = moment + interval_s
        else:
            waiting += 1
    return rounds


@pytest.mark.parametrize("rate", [0.5, 5.0, 40.0])
def test_rounds_and_how_many_carry_one_message_are_those_of_random_messages(rate: float) -> None:
    chance = random.Random(7)
    end_s = 20_000 / rate
    rounds = rounds_of(sorted(chance.uniform(0, end_s) for _ in range(20_000)), 0.2)

    assert len(rounds) / end_s == pytest.approx(rounds_per_s(rate, 0.2), rel=0.03)
    assert rounds.count(1) / len(rounds) == pytest.approx(alone_share(rate, 0.2), abs=0.02)


@given(rates, intervals)
def test_rounds_are_no_more_than_messages_and_no_more_than_one_an_interval(rate: float, interval_s: float) -> None:
    assert rounds_per_s(rate, interval_s) <= min(rate, 1 / interval_s) * 1.000001


def test_without_an_interval_each_message_is_a_round() -> None:
    assert rounds_per_s(7.0, 0.0) == 7.0
    assert rounds_per_s(0.0, 0.2) == 0.0


def test_acks_wait_for_others() -> None:
    assert acks_per_s(20.0, 0.2) == 4.0
    assert acks_per_s(20.0, 0.0) == 20.0


def test_a_push_is_a_frame_for_each_message() -> None:
    assert push(20.0, LOOKS) == Work(frames=20.0, items=20.0, acks=4.0)


def test_a_gathered_push_is_a_frame_a_window_with_all_messages() -> None:
    work = push(20.0, LOOKS, window_s=0.5)

    assert work.frames == pytest.approx(2.0, rel=0.001)
    assert work.items == 20.0


def test_who_looks_and_is_notified_comes_for_each_round_of_several_messages() -> None:
    work = notify(50.0, LOOKS, interval_s=0.2)

    assert work.frames == pytest.approx(5.0, rel=0.001)
    assert work.items == 50.0
    assert work.notices == work.pulls == pytest.approx(5.0, rel=0.01)


def test_who_looks_elsewhere_is_told_and_nothing_else() -> None:
    work = notify(50.0, AWAY, interval_s=0.2)

    assert work.notices == pytest.approx(5.0, rel=0.001)
    assert work == Work(notices=work.notices)


@given(rates)
def test_a_quiet_conversation_costs_the_same_notified_as_pushed_while_messages_ride_inline(rate: float) -> None:
    rare = rate / 1e6

    assert notify(rare, Habits(viewers=1.0), interval_s=0.2).frames == pytest.approx(push(rare, LOOKS).frames, rel=1e-3)
    assert notify(rare, Habits(viewers=0.0), interval_s=0.2).frames == pytest.approx(push(rare, LOOKS).frames, rel=1e-3)


def test_messages_too_large_to_ride_along_are_always_pulled() -> None:
    work = notify(0.001, Habits(viewers=1.0, inline=False), interval_s=0.2)

    assert work.notices == work.pulls == work.frames


def test_a_visit_puts_back_to_the_end_who_had_fallen_behind() -> None:
    often = notify(1.0, Habits(viewers=0.0, visit_s=10.0), interval_s=0.2)
    seldom = notify(1.0, Habits(viewers=0.0, visit_s=10_000.0), interval_s=0.2)

    assert often.frames > 5 * seldom.frames
    assert often.frames + often.notices == pytest.approx(seldom.frames + seldom.notices)


def test_a_member_bears_its_share_of_what_the_conversation_costs() -> None:
    served = Work(acks=5.0)

    assert shared(served, rate=2.0, members=20, habits=Habits(flush_s=0.5)) == Work(sends=0.1, flushes=0.05)


def test_where_nobody_acks_no_cursor_is_written() -> None:
    assert shared(Work(notices=1.0), rate=2.0, members=20, habits=Habits()) == Work(sends=0.1)


def test_work_times_prices_is_the_cost() -> None:
    prices = Prices(frames=10.0, items=1.0, acks=5.0, notices=8.0, pulls=20.0, sends=100.0, flushes=7.0)

    assert prices.of(Work(frames=2.0, items=3.0, acks=1.0)) == 28.0
    assert prices.of(Work(notices=1.0, pulls=1.0, sends=0.5, flushes=1.0)) == 85.0
    assert (Work(frames=1.0) + Work(frames=2.0, pulls=1.0)).times(2.0) == Work(frames=6.0, pulls=2.0)
