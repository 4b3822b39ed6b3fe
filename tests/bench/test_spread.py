"""How long things took, from counts of ticks."""

from __future__ import annotations

from pushpull.bench.spread import Spread, Summary


def test_percentiles_are_of_the_nearest_rank() -> None:
    spread = Spread(dict.fromkeys(range(1, 101), 1))  # 0.1 to 10 ms

    assert spread.summary() == Summary(count=100, p50_ms=5.0, p95_ms=9.5, p99_ms=9.9, max_ms=10.0)


def test_one_time_is_every_percentile() -> None:
    spread = Spread()
    spread.add(25)

    assert spread.summary() == Summary(count=1, p50_ms=2.5, p95_ms=2.5, p99_ms=2.5, max_ms=2.5)


def test_nothing_is_no_time_at_all() -> None:
    assert Spread().summary() == Summary()


def test_what_took_less_than_nothing_took_nothing() -> None:
    spread = Spread()
    spread.add(-3)

    assert spread.summary() == Summary(count=1)


def test_spreads_of_two_processes_add_up() -> None:
    here, there = Spread({10: 98}), Spread({10: 1, 700: 1})
    here.merge(there)

    assert here.summary() == Summary(count=100, p50_ms=1.0, p95_ms=1.0, p99_ms=1.0, max_ms=70.0)
