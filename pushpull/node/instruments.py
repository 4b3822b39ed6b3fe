"""Counters, gauges and histograms that cost next to nothing to step, and are shown to prometheus_client when it asks.

Its own counters take a lock for every step, which is as dear as half an ack. One thread counts, the loop's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric


class Count:
    """A counter without a lock."""

    def __init__(self, name: str, says: str, registry: CollectorRegistry) -> None:
        self._name, self._says = name, says
        self.value = 0
        registry.register(self)

    def inc(self, by: int = 1) -> None:
        self.value += by

    def collect(self) -> Iterator[Metric]:
        yield CounterMetricFamily(self._name, self._says, value=self.value)


class Step:
    """One value of a label, counted."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def inc(self, by: int = 1) -> None:
        self.value += by


class Counts:
    """A counter with one label. Bounded by its words, which are the service's own: never an id, never what a peer says.

    Those that are `known` are shown from the start, as 0: what first appears as 1 has not grown, to Prometheus.
    """

    def __init__(
        self, name: str, says: str, label: str, registry: CollectorRegistry, *, known: Iterable[str] = ()
    ) -> None:
        self._name, self._says, self._label = name, says, label
        self._steps = {word: Step() for word in known}
        registry.register(self)

    def labels(self, word: str) -> Step:
        found = self._steps.get(word)
        if found is None:
            found = self._steps[word] = Step()
        return found

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._says, labels=[self._label])
        for word, step in self._steps.items():
            family.add_metric([word], step.value)
        yield family


class Reading:
    """A gauge that is looked up when it is asked for."""

    def __init__(self, name: str, says: str, read: Callable[[], float], registry: CollectorRegistry) -> None:
        self._name, self._says, self._read = name, says, read
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(self._name, self._says, value=float(self._read()))


class Values:
    """A gauge with one label, whose words come and go: all of them are `put` at a time."""

    def __init__(
        self, name: str, says: str, label: str, registry: CollectorRegistry, *, known: Iterable[str] = ()
    ) -> None:
        self._name, self._says, self._label = name, says, label
        self._values: dict[str, float] = dict.fromkeys(known, 0.0)
        registry.register(self)

    def put(self, values: Mapping[str, float]) -> None:
        self._values = dict(values)

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(self._name, self._says, labels=[self._label])
        for word, value in self._values.items():
            family.add_metric([word], value)
        yield family


class Times:
    """A histogram of seconds without a lock."""

    def __init__(self, name: str, says: str, buckets: Sequence[float], registry: CollectorRegistry) -> None:
        self._name, self._says = name, says
        self._edges = tuple(buckets)
        self._counts = [0] * (len(buckets) + 1)
        self._sum = 0.0
        registry.register(self)

    @property
    def counts(self) -> tuple[int, ...]:
        """How many fell into each bucket so far; the last one is above all edges."""
        return tuple(self._counts)

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._edges, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[Metric]:
        edges = [*(str(float(edge)) for edge in self._edges), "+Inf"]
        buckets = [(edge, float(below)) for edge, below in zip(edges, accumulate(self._counts), strict=True)]
        yield HistogramMetricFamily(self._name, self._says, buckets=buckets, sum_value=self._sum)
