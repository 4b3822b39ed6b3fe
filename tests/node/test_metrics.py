"""Counts and times as a scrape shows them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Histogram

from pushpull.node.metrics import Metrics, Times


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
