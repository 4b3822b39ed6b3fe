"""The counts and times an operator watches. No name or label holds a cid or a uid: the series stay few.

What is counted for each message and each ack is counted here and only shown to prometheus_client when it asks: its
own counters take a lock for every step, which is as dear as half an ack. One thread counts, the loop's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

APPEND_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
DELIVERY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


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


class Metrics:
    """Each node has a registry of its own, so that several can live in one process (the tests do that)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.appends = self._counter("appends", "Messages stored")
        self.duplicates = self._counter("duplicates", "Sends that had been stored before")
        self.refusals = Counter(
            "pushpull_refused_sends", "Sends answered with an error", ["code"], registry=self.registry
        )
        self.deliveries = self._counter("deliveries", "Messages handed to devices, first time, pushed or inline")
        self.redeliveries = self._counter("redeliveries", "Messages handed to a device again, no ack in time")
        self.exhausted = self._counter("exhausted", "Connections closed after max_deliver deliveries without an ack")
        self.acks = self._counter("acks", "Acks that moved a device forward")
        self.notices = self._counter("notices", "Notices handed to devices")
        self.signals = self._counter("signals", "Signals handed to devices")
        self.receipts = self._counter("receipts", "Receipts handed to devices")
        self.pulls = self._counter("pulls", "Pages answered")
        self.log_reads = self._counter("log_reads", "Range reads sent to Redis")
        self.demotions = self._counter(
            "demotions", "Places demoted from push to notify: a full buffer, or more windows than max_windows"
        )
        self.promotions = self._counter("promotions", "Demoted places that caught up and are pushed to again")
        self.shed = Counter("pushpull_shed", "What was left out under load", ["what"], registry=self.registry)
        self.shedding = self._gauge(
            "shedding_level", "What is left out now: 0 nothing, 1 signals and presence, 2 and receipts, 3 and extras"
        )
        self.resets = Counter(
            "pushpull_resets", "Devices told to continue elsewhere", ["reason"], registry=self.registry
        )
        self.cursor_flushes = self._counter("cursor_flushes", "Cursor moves written")
        self.lost_bells = self._counter("lost_bells", "Times the audit found a feed behind its log")
        self.refused_connects = self._counter("refused_connects", "Upgrades refused: too many at a time")
        self.offline_marks = self._counter("offline_marks", "Times a conversation with news was made due")
        self.offline_users = self._counter("offline_users", "Users the webhook was told of")
        self.offline_calls = Counter(
            "pushpull_offline_calls", "Notifications handed to the webhook", ["outcome"], registry=self.registry
        )
        self.offline_jobs = Counter(
            "pushpull_offline_jobs", "Offline jobs that ended here", ["outcome"], registry=self.registry
        )
        self.offline_stopped = self._gauge("offline_stopped", "1: the webhook's receiver said that it is gone (410)")
        self.sessions = self._gauge("sessions", "Open sessions")
        self.feeds = self._gauge("feeds", "Conversations this node listens to")
        self.windows = self._gauge("windows", "Windows with something not acknowledged")
        self.waiting_sends = self._gauge("waiting_sends", "Sends waiting for the log")
        self.tails_bytes = self._gauge("tails_bytes", "Bytes held in tails")
        self.load = self._gauge("loop_load", "Share of the last second that the event loop's thread computed")
        self.notify_interval = self._gauge("notify_interval_seconds", "How far apart notices of large groups go now")
        self.loop_lag = self._gauge("loop_lag_seconds", "How late the event loop ran a timer that was due")
        self.append_seconds = Times(
            "pushpull_append_seconds", "From a send taken to its answer", APPEND_BUCKETS_S, self.registry
        )
        self.delivery_seconds = Times(
            "pushpull_delivery_seconds",
            "From a message stored to the last of its receivers here handed the bytes",
            DELIVERY_BUCKETS_S,
            self.registry,
        )

    def _counter(self, name: str, says: str) -> Count:
        return Count(f"pushpull_{name}", says, self.registry)

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(f"pushpull_{name}", says, registry=self.registry)
