"""A value beside its target, and the median of several runs."""

from __future__ import annotations

from pushpull.bench.figures import Figure, Outcome, costs, limits, medians, times
from pushpull.bench.meter import Usage
from pushpull.bench.redis_stats import RedisReading, between
from pushpull.bench.spread import Spread


def test_a_value_below_its_most_is_met_and_one_above_is_missed() -> None:
    assert Figure(name="cost", value=39.0, unit="µs", at_most=40).ok is True
    assert Figure(name="cost", value=41.0, unit="µs", at_most=40).ok is False


def test_a_value_above_its_least_is_met_and_one_below_is_missed() -> None:
    assert Figure(name="rate", value=15_001, unit="/s", at_least=15_000).ok is True
    assert Figure(name="rate", value=14_999, unit="/s", at_least=15_000).ok is False


def test_beside_a_floor_the_limit_is_a_multiple_of_it() -> None:
    near, far = (Figure(name="cost", value=value, unit="µs", at_most=1.3, floor=6.0) for value in (7.5, 9.0))

    assert (near.ratio, near.ok) == (1.25, True)
    assert (far.ratio, far.ok) == (1.5, False)


def test_without_a_target_or_a_value_there_is_nothing_to_judge() -> None:
    assert Figure(name="rate", value=3.0, unit="/s").ok is None
    assert Figure(name="later", value=None, unit="/s", at_least=3).ok is None


def outcome(value: float | None, floor: float | None = None) -> Outcome:
    return Outcome(figures=[Figure(name="cost", value=value, unit="µs", at_most=1.3, floor=floor)])


def test_the_median_run_is_stated() -> None:
    (figure,) = medians([outcome(3.0), outcome(1.0), outcome(2.0)])

    assert figure.value == 2.0


def test_beside_floors_it_is_the_run_with_the_median_ratio() -> None:
    (figure,) = medians([outcome(8.0, floor=8.0), outcome(9.0, floor=6.0), outcome(6.0, floor=3.0)])

    assert (figure.value, figure.floor) == (9.0, 6.0)


def test_a_run_without_a_value_does_not_count() -> None:
    (figure,) = medians([outcome(None), outcome(4.0), outcome(None)])

    assert figure.value == 4.0


def usage(*, server_cpu_s: float = 0.5, load_cpu_s: tuple[float, ...] = (0.25,), redis_cpu_s: float = 0.1) -> Usage:
    did = RedisReading(
        cpu_s=redis_cpu_s, calls={"evalsha": 100, "xadd": 100}, received_bytes=0, used_bytes=0, aof_bytes=0
    )
    return Usage(seconds=2.0, server_cpu_s=server_cpu_s, load_cpu_s=load_cpu_s, redis=did)


def test_costs_are_per_unit() -> None:
    figures = {figure.name: figure.value for figure in costs(usage(), 1_000, "send")}

    assert figures == {
        "server CPU per send": 500.0,
        "redis CPU per send": 100.0,
        "redis commands per send": 0.2,
        "send: server busy": 0.25,
        "send: redis busy": 0.05,
        "send: load busy": 0.125,
        "send: load's ceiling": 4_000.0,
    }


def test_two_load_processes_could_do_twice_what_one_can() -> None:
    figures = {figure.name: figure.value for figure in costs(usage(load_cpu_s=(0.25, 0.25)), 1_000, "send")}

    assert figures["send: load's ceiling"] == 4_000.0
    assert figures["send: load busy"] == 0.125


def test_a_busy_load_generator_is_told_of_and_a_busy_service_is_not() -> None:
    assert limits(usage(server_cpu_s=1.0, load_cpu_s=(1.95,)), "sends", 4) == [
        "sends: the load generator was busy (98% of a core), it may be what limits"
    ]
    assert limits(usage(server_cpu_s=1.95, load_cpu_s=(1.95,)), "sends", 4) == []


def test_a_machine_without_a_free_core_is_told_of() -> None:
    notes = limits(usage(server_cpu_s=1.6, load_cpu_s=(1.3,), redis_cpu_s=0.9), "sends", 2)

    assert notes == ["sends: all 2 cores were busy (1.9 used), the machine may be what limits"]


def test_a_spread_is_four_figures_and_only_p99_has_a_target() -> None:
    figures = times("send", Spread({30: 1}), p99_at_most=1.5, floor=Spread({20: 1}))

    assert [figure.name for figure in figures] == ["send p50", "send p95", "send p99", "send max"]
    assert [figure.has_target for figure in figures] == [False, False, True, False]
    assert figures[2].ratio == 1.5


def test_what_redis_did_is_the_difference_of_two_readings() -> None:
    before = RedisReading(cpu_s=1.0, calls={"xadd": 5, "hget": 2}, received_bytes=10, used_bytes=100, aof_bytes=7)
    after = RedisReading(
        cpu_s=1.5, calls={"xadd": 8, "hget": 2, "zadd": 1}, received_bytes=30, used_bytes=90, aof_bytes=9
    )

    did = between(before, after)

    assert did.calls == {"xadd": 3, "zadd": 1}
    assert did.commands == 4
    assert (did.cpu_s, did.received_bytes, did.used_bytes, did.aof_bytes) == (0.5, 20, -10, 2)
