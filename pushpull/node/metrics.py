"""The counts and times an operator watches. No name or label holds a cid or a uid: the series stay few."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

APPEND_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
DELIVERY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


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
        self.pulls = self._counter("pulls", "Pages answered")
        self.log_reads = self._counter("log_reads", "Range reads sent to Redis")
        self.demotions = self._counter("demotions", "Places demoted from push to notify: more windows than max_windows")
        self.resets = Counter(
            "pushpull_resets", "Devices told to continue elsewhere", ["reason"], registry=self.registry
        )
        self.cursor_flushes = self._counter("cursor_flushes", "Cursor moves written")
        self.lost_bells = self._counter("lost_bells", "Times the audit found a feed behind its log")
        self.sessions = self._gauge("sessions", "Open sessions")
        self.feeds = self._gauge("feeds", "Conversations this node listens to")
        self.windows = self._gauge("windows", "Windows with something not acknowledged")
        self.waiting_sends = self._gauge("waiting_sends", "Sends waiting for the log")
        self.tails_bytes = self._gauge("tails_bytes", "Bytes held in tails")
        self.load = self._gauge("loop_load", "Share of the last second that the event loop's thread computed")
        self.notify_interval = self._gauge("notify_interval_seconds", "How far apart notices of large groups go now")
        self.loop_lag = self._gauge("loop_lag_seconds", "How late the event loop ran a timer that was due")
        self.append_seconds = Histogram(
            "pushpull_append_seconds",
            "From a send taken to its answer",
            buckets=APPEND_BUCKETS_S,
            registry=self.registry,
        )
        self.delivery_seconds = Histogram(
            "pushpull_delivery_seconds",
            "From a message stored to the last of its receivers here handed the bytes",
            buckets=DELIVERY_BUCKETS_S,
            registry=self.registry,
        )

    def _counter(self, name: str, says: str) -> Counter:
        return Counter(f"pushpull_{name}", says, registry=self.registry)

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(f"pushpull_{name}", says, registry=self.registry)
