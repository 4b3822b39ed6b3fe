"""Counts and times as a scrape shows them."""

from __future__ import annotations

import logging

from prometheus_client import CollectorRegistry, Histogram

from pushpull.node.instruments import Counts, Times, Values
from pushpull.node.log_records import LogRecords
from pushpull.node.metrics import Metrics


def test_a_count_is_shown_as_it_stands() -> None:
    metrics = Metrics()
    metrics.acks.inc()
    metrics.acks.inc(3)

    assert metrics.registry.get_sample_value("pushpull_acks_total") == 4.0


def test_times_are_shown_as_the_librarys_own_histogram_shows_them() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    times = Times("seen_seconds", "what was seen", (0.001, 0.5, 2), ours)
    histogram = Histogram("seen_seconds", "what was seen", buckets=(0.001, 0.5, 2), registry=theirs)
    for seconds in (0.0, 0.001, 0.0011, 0.5, 1.99, 2.0, 2.01, 99.0):
        times.observe(seconds)
        histogram.observe(seconds)

    def shown(registry: CollectorRegistry) -> set[tuple[str, tuple[tuple[str, str], ...], float]]:
        samples = [sample for metric in registry.collect() for sample in metric.samples]
        return {(s.name, tuple(s.labels.items()), s.value) for s in samples if not s.name.endswith("_created")}

    assert shown(ours) == shown(theirs)


def test_a_word_that_is_known_is_shown_before_it_is_counted() -> None:
    registry = CollectorRegistry()
    counts = Counts("calls", "calls", "outcome", registry, known=("good", "bad"))
    counts.labels("bad").inc(2)
    counts.labels("new").inc()

    shown = {
        outcome: registry.get_sample_value("calls_total", {"outcome": outcome}) for outcome in ("good", "bad", "new")
    }
    assert shown == {"good": 0.0, "bad": 2.0, "new": 1.0}


def test_values_are_those_that_were_put_last() -> None:
    registry = CollectorRegistry()
    values = Values("used_bytes", "used", "server", registry)
    values.put({"a": 1, "b": 2})
    values.put({"b": 3})

    assert registry.get_sample_value("used_bytes", {"server": "a"}) is None
    assert registry.get_sample_value("used_bytes", {"server": "b"}) == 3.0


def test_lines_are_counted_from_warning_on_and_only_while_it_is_asked_for() -> None:
    metrics, log = Metrics(), logging.getLogger("pushpull.somewhere")
    records = LogRecords(metrics)
    log.warning("before")
    records.begin()
    for say in (log.debug, log.info, log.warning, log.error, log.critical):
        say("said")
    records.end()
    log.error("after")

    assert (metrics.log_records.labels("warning").value, metrics.log_records.labels("error").value) == (1, 2)
