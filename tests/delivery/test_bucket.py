"""Token buckets: what comes at once, what comes over time, and how long a refusal says to wait."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushpull.delivery.bucket import Bucket

rates = st.floats(min_value=0.01, max_value=10_000)
bursts = st.integers(min_value=1, max_value=500)
starts = st.floats(min_value=0, max_value=1e7)
gaps = st.lists(st.floats(min_value=0, max_value=3), min_size=1, max_size=200)


def test_a_full_bucket_gives_its_burst_at_once_and_then_nothing() -> None:
    bucket = Bucket(rate=10, burst=3)

    assert [bucket.take(5.0) for _ in range(4)] == [0, 0, 0, 100]


def test_a_token_is_there_after_exactly_the_time_that_was_said() -> None:
    bucket = Bucket(rate=10, burst=1)
    bucket.take(5.0)

    assert bucket.take(5.04) == 60
    assert bucket.take(5.0999) == 1
    assert bucket.take(5.1) == 0


def test_a_refusal_costs_nothing() -> None:
    bucket = Bucket(rate=1, burst=1)
    bucket.take(0.0)
    for _ in range(10):
        bucket.take(0.5)

    assert bucket.take(1.0) == 0


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    bucket = Bucket(rate=10, burst=2)
    bucket.take(0.0)

    assert [bucket.take(1_000.0) for _ in range(3)] == [0, 0, 100]


def test_a_bucket_holds_one_token_at_least() -> None:
    bucket = Bucket(rate=0.1, burst=0.5)

    assert (bucket.take(0.0), bucket.take(0.0)) == (0, 10_000)


@given(rate=rates, burst=bursts, start=starts, gaps=gaps)
def test_never_more_than_the_burst_and_what_flowed_in(rate: float, burst: int, start: float, gaps: list[float]) -> None:
    bucket, now, taken = Bucket(rate, burst), start, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now) == 0

    assert taken <= burst + (now - start) * rate * (1 + 1e-9) + rate * 1e-5 + 1e-6


@given(rate=rates, burst=bursts, start=starts, gaps=gaps)
def test_whoever_waits_as_told_is_let_through_and_a_millisecond_sooner_is_not(
    rate: float, burst: int, start: float, gaps: list[float]
) -> None:
    bucket, now = Bucket(rate, burst), start
    for gap in gaps:
        now += gap / rate
        wait_ms = bucket.take(now)
        if wait_ms:
            if wait_ms > 1:
                assert bucket.take(now + (wait_ms - 1.01) / 1000) > 0
            assert bucket.take(now + wait_ms / 1000) == 0
            now += wait_ms / 1000
