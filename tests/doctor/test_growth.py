"""Where memory is in a month: the rate, its shape, and what retention leaves of it."""

from __future__ import annotations

import pytest

from pushpull.doctor.checks.growing import arithmetic
from pushpull.doctor.growth import growth, rate_of
from pushpull.settings import Retention
from pushpull.store.facts import LogFacts, TrafficFacts

DAY_S = 86_400
DAY_MS = DAY_S * 1000
ALL = Retention(max_messages=0)


def traffic(*logs: LogFacts, per_s: float = 1.0, **fields: int) -> TrafficFacts:
    """Two logs among two keys of each kind, `per_s` messages a second since ten days ago; it is day 10."""
    counts = {"keys": 10, "looked_at": 10, "conversations": len(logs), **fields}
    return TrafficFacts(
        logs=logs, appended_before=int(per_s * 10 * DAY_S), before_s=10.0 * DAY_S, now_ms=10 * DAY_MS, **counts
    )


def log(messages: int, *, since_day: float = 0.0, **retention: int) -> LogFacts:
    return LogFacts(messages=messages, since_ms=int(since_day * DAY_MS), size_bytes=300 * messages, **retention)


def test_the_rate_is_the_average_where_too_few_came_while_we_looked() -> None:
    assert rate_of(TrafficFacts(appended=2, over_s=3, appended_before=10_000, before_s=10_000)) == (1.0, 10_000)


def test_the_rate_is_what_comes_now_where_that_is_more() -> None:
    assert rate_of(TrafficFacts(appended=30, over_s=3, appended_before=10_000, before_s=10_000)) == (10.0, 3)


def test_a_quiet_moment_does_not_hide_a_busy_week() -> None:
    assert rate_of(TrafficFacts(appended=12, over_s=3, appended_before=90_000, before_s=10_000)) == (9.0, 10_000)


def test_right_after_a_start_nothing_is_said_unless_much_comes() -> None:
    assert rate_of(TrafficFacts(appended=0, over_s=3, appended_before=50, before_s=60)) is None
    assert rate_of(TrafficFacts(appended=30, over_s=3, appended_before=50, before_s=60)) == (10.0, 3)


def test_a_month_of_messages_is_what_comes_times_what_each_takes() -> None:
    found = growth(traffic(log(864_000)), ALL, used_bytes=1_000)

    assert found is not None
    assert (found.per_s, found.message_bytes) == (1.0, 300.0)
    assert found.come == pytest.approx(30 * DAY_S)
    assert found.stay == pytest.approx(30 * DAY_S)
    assert found.then_bytes == pytest.approx(1_000 + 300 * 30 * DAY_S)


def test_a_log_that_is_full_grows_no_more() -> None:
    found = growth(traffic(log(100_000, since_day=9)), Retention(max_messages=100_000), used_bytes=0)

    assert found is not None
    assert found.come > 2_000_000
    assert found.stay == 0


def test_a_log_grows_up_to_what_it_may_keep() -> None:
    found = growth(traffic(log(864_000)), Retention(max_messages=1_000_000), used_bytes=0)

    assert found is not None
    assert found.stay == pytest.approx(136_000)


def test_what_is_kept_by_age_is_the_days_worth_of_it() -> None:
    found = growth(traffic(log(864_000)), Retention(max_messages=0, max_age_days=15), used_bytes=0)

    assert found is not None
    assert found.stay == pytest.approx(5 * DAY_S)


def test_a_conversations_own_retention_counts_before_the_services() -> None:
    found = growth(traffic(log(864_000, most=900_000)), Retention(max_messages=1_000_000), used_bytes=0)
    forever = growth(traffic(log(864_000, most=0)), Retention(max_messages=1_000_000), used_bytes=0)

    assert found is not None
    assert forever is not None
    assert found.stay == pytest.approx(36_000)
    assert forever.stay == pytest.approx(30 * DAY_S)


def test_the_hot_one_gets_its_part_and_the_quiet_one_its_own() -> None:
    hot, quiet = log(100_000, since_day=9), log(8_640)  # 1.16 and 0.01 a second
    found = growth(traffic(hot, quiet, per_s=1.17), Retention(max_messages=100_000), used_bytes=0)

    assert found is not None
    assert found.stay == pytest.approx(0.01 * 30 * DAY_S, rel=0.02)


def test_a_sample_stands_for_all_conversations() -> None:
    whole = growth(traffic(log(86_400), log(86_400)), ALL, used_bytes=0)
    sample = growth(
        traffic(log(86_400), log(86_400), keys=100_000, looked_at=1_000, conversations=200), ALL, used_bytes=0
    )

    assert whole is not None
    assert sample is not None
    assert (whole.conversations, sample.conversations) == (2, 20_000)
    assert sample.stay == pytest.approx(whole.stay)  # the same messages, spread over more


def test_small_logs_are_not_taken_for_the_size_of_a_message() -> None:
    found = growth(traffic(LogFacts(messages=2, since_ms=0, size_bytes=5_000)), ALL, used_bytes=0)

    assert found is not None
    assert found.message_bytes == 277


def test_where_nothing_is_stored_nothing_is_said() -> None:
    assert growth(traffic(), ALL, used_bytes=0) is None


def test_the_arithmetic_is_shown() -> None:
    found = growth(traffic(log(864_000)), ALL, used_bytes=1024**3)

    assert found is not None
    assert arithmetic(found) == (
        "1 messages a second (over 10 days) are 2.6 million in 30 days; retention lets 2.6 million more stay "
        "(by 1 log of 1), 300 bytes each: 1 GiB now + 742 MiB = 1.72 GiB"
    )
