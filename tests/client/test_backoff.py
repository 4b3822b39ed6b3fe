import pytest

from pushpull.client.backoff import AfterClose, Backoff, after_close
from pushpull.client.pace import Pace


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1012, 1013, 4408, 4429, 4600, 4999])
def test_most_closes_are_followed_by_a_reconnect(code: int):
    assert after_close(code) is AfterClose.RECONNECT


@pytest.mark.parametrize("code", [4400, 4403, 4409, 4413, 4500, 4599])
def test_some_closes_are_for_good(code: int):
    assert after_close(code) is AfterClose.STOP


def test_a_refused_token_asks_for_another_one():
    assert after_close(4401) is AfterClose.NEW_TOKEN


def test_the_ceiling_doubles_up_to_the_longest():
    backoff = Backoff(first_s=0.5, longest_s=3.0)
    assert [backoff.next_delay_s(1.0) for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_the_delay_is_any_share_of_the_ceiling():
    assert Backoff(first_s=4.0).next_delay_s(0.25) == 1.0


def test_only_a_connection_that_lived_starts_the_backoff_anew():
    backoff = Backoff(first_s=0.5)
    backoff.next_delay_s(1.0)
    backoff.lived(0.2)
    assert backoff.next_delay_s(1.0) == 1.0
    backoff.lived(60.0)
    assert backoff.next_delay_s(1.0) == 0.5


def test_a_thousand_failures_do_not_overflow():
    assert Backoff(failures=5000).next_delay_s(1.0) == 10.0


def test_a_second_worth_of_frames_goes_at_once_and_the_rest_at_the_rate():
    pace = Pace(10.0)
    waits = [pace.wait_s(100.0) for _ in range(11)]
    assert waits[:9] == [0.0] * 9
    assert waits[9] == pytest.approx(1 / 9)
    assert waits[10] == pytest.approx(2 / 9)


def test_the_pace_recovers_with_time():
    pace = Pace(10.0)
    for _ in range(9):
        pace.wait_s(100.0)
    assert pace.wait_s(101.0) == 0.0


def test_without_a_known_limit_nothing_waits():
    assert Pace().wait_s(1.0) == 0.0


def test_a_refusal_halves_the_pace_and_time_brings_it_back():
    pace = Pace(100.0)
    pace.wait_s(10.0)
    pace.slow_down(10.0)
    assert pace.wait_s(10.0) == pytest.approx(1 / 45)  # 90 a second were its own, now 45
    assert pace.wait_s(15.0) == 0.0
    waits = [pace.wait_s(15.0) for _ in range(91)]
    assert waits[-1] == pytest.approx(2 / 90)  # five seconds later: the full pace again


def test_refusals_of_frames_that_were_on_their_way_together_count_once():
    pace = Pace(100.0)
    for now in (10.0, 10.1, 10.2):
        pace.slow_down(now)
    assert pace.wait_s(10.2) == pytest.approx(1 / 45)


def test_refusals_that_go_on_halve_it_again():
    pace = Pace(100.0)
    for now in (10.0, 10.25):
        pace.slow_down(now)
    assert pace.wait_s(10.25) == pytest.approx(1 / 22.5)


def test_the_pace_does_not_fall_below_a_twentieth():
    pace = Pace(100.0)
    for n in range(20):
        pace.slow_down(10.0 + n)
    assert pace.wait_s(29.0) == pytest.approx(1 / 4.5)
    assert Pace().slow_down(1.0) is None
