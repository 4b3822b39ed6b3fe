"""The counts and times an operator watches. No name or label holds a cid or a uid: the series stay few.

Their names, types and labels are a contract, written down in docs/monitoring.md; tests/e2e/test_metrics.py holds the
two against each other. What is looked up when somebody asks is in node.gauges, what Redis is asked for in
node.soundings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector

from pushpull import __version__
from pushpull.delivery import codes
from pushpull.delivery.shedding import Extra
from pushpull.errors import (
    CmidConflict,
    CmidExpired,
    Invalid,
    NoSuchConversation,
    NoSuchMessage,
    NotAllowed,
    NotAMember,
    RateLimited,
    StoreUnavailable,
)
from pushpull.node.instruments import Count, Counts, Reading, Times, Values

APPEND_BUCKETS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
DELIVERY_BUCKETS_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
REDIS_BUCKETS_S: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
CALL_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)

REFUSALS: Final = tuple(
    error.code
    for error in (
        CmidConflict,
        CmidExpired,
        Invalid,
        NoSuchConversation,
        NoSuchMessage,
        NotAllowed,
        NotAMember,
        RateLimited,
        StoreUnavailable,
    )
)
"""What a send may be answered by the log."""

CLOSES: Final = tuple(
    str(code)
    for code in (
        codes.DRAINING,
        codes.OVERLOADED,
        codes.BAD_FRAME,
        codes.NOT_AUTHENTICATED,
        codes.NOT_ALLOWED,
        codes.NO_ANSWER,
        codes.REPLACED,
        codes.FRAME_TOO_LARGE,
        codes.RATE_LIMITED,
    )
)
CUT: Final = "cut"
"""Beside CLOSES: ended without a goodbye, as nothing more goes out on it."""

STATUSES: Final = ("200", "201", "304", "400", "401", "403", "404", "409", "413", "422", "429", "500", "503")


class Metrics:
    """Each node has a registry of its own, so that several can live in one process (the tests do that)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._count_messages()
        self._count_delivery()
        self._count_connections()
        self._count_redis()
        self._count_jobs()
        self._tell_of_the_process()

    def _count_messages(self) -> None:
        self.appends = self._counter("appends", "Messages stored")
        self.duplicates = self._counter("duplicates", "Sends that had been stored before")
        self.refusals = self._counters("refused_sends", "Sends answered with an error", "code", REFUSALS)
        self.waiting_sends = self._gauge("waiting_sends", "Sends waiting for the log")
        self.append_seconds = self._times("append_seconds", "From a send taken to its answer", APPEND_BUCKETS_S)

    def _count_delivery(self) -> None:
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
        self.shed = self._counters("shed", "What was left out under load", "what", (each.value for each in Extra))
        self.shedding = self._gauge(
            "shedding_level", "What is left out now: 0 nothing, 1 signals and presence, 2 and receipts, 3 and extras"
        )
        self.resets = self._counters(
            "resets", "Devices told to continue elsewhere", "reason", ("diverged", "epoch", "trimmed")
        )
        self.diverged_logs = self._counter("diverged_logs", "Times a feed found that its log had lost messages")
        self.cursor_flushes = self._counter("cursor_flushes", "Cursor moves written")
        self.lost_bells = self._counter("lost_bells", "Times the audit found a feed behind its log")
        self.feeds = self._gauge("feeds", "Conversations this node listens to")
        self.windows = self._gauge("windows", "Windows with something not acknowledged")
        self.tails_bytes = self._gauge("tails_bytes", "Bytes held in tails")
        self.notify_interval = self._gauge("notify_interval_seconds", "How far apart notices of large groups go now")
        self.delivery_seconds = self._times(
            "delivery_seconds",
            "From a message stored to the last of its receivers here handed the bytes",
            DELIVERY_BUCKETS_S,
        )

    def _count_connections(self) -> None:
        self.sessions = self._gauge("sessions", "Open sessions")
        self.buffered_bytes = self._gauge("buffered_bytes", "Bytes handed to connections that have not left")
        self.refused_connects = self._counters(
            "refused_connects", "Connections not taken", "reason", ("rate", "handshakes", "full", "draining")
        )
        self.refused_tokens = self._counters(
            "refused_tokens",
            "Tokens that WebSockets were refused for",
            "reason",
            ("token_invalid", "token_expired", "token_revoked"),
        )
        self.closes = self._counters(
            "closes", "Connections ended by the service, by close code; cut: without a goodbye", "code", (*CLOSES, CUT)
        )
        self.rate_limited = self._counters(
            "rate_limited", "Frames and calls refused: over the user's rate", "what", ("frames", "sends", "signals")
        )
        self.http_answers = self._counters("http_answers", "HTTP calls answered", "status", STATUSES)

    def _count_redis(self) -> None:
        self.redis_ok = self._gauge("redis_ok", "1: every primary answers, takes writes and does not evict")
        self.redis_seconds = self._times(
            "redis_seconds", "From commands sent to all their replies, one pipeline", REDIS_BUCKETS_S
        )
        self.redis_calls = self._counter("redis_calls", "Scripts and commands sent to Redis")
        self.redis_retries = self._counter("redis_retries", "Of these sent again: lost, or another server's by then")
        self.redis_failures = self._counters(
            "redis_failures", "Of these given up", "reason", ("unreachable", "timeout", "not_confirmed", "other")
        )
        self.redis_memory = self._values("redis_memory_bytes", "Memory that a primary uses", "server")
        self.redis_memory_max = self._values("redis_memory_max_bytes", "Its maxmemory; 0: none", "server")
        self.bells = self._counter("bells", "Rings heard: messages, signals, receipts, announcements, probes")
        self.doorbell_losses = self._counter("doorbell_losses", "Times a connection for doorbells was lost")
        self.doorbell_seconds = self._times(
            "doorbell_seconds", "From a probe published to the same probe heard", REDIS_BUCKETS_S
        )

    def _count_jobs(self) -> None:
        self.offline_marks = self._counter("offline_marks", "Times a conversation with news was made due")
        self.offline_users = self._counter("offline_users", "Users the webhook was told of")
        self.offline_calls = self._counters(
            "offline_calls", "Notifications handed to the webhook", "outcome", ("delivered", "failed", "gone")
        )
        self.offline_call_seconds = self._times(
            "offline_call_seconds", "From a notification ready to what became of it, tries included", CALL_BUCKETS_S
        )
        self.offline_jobs = self._counters(
            "offline_jobs", "Offline jobs that ended here", "outcome", ("done", "nobody", "retried", "dead")
        )
        self.offline_stopped = self._gauge("offline_stopped", "1: the webhook's receiver said that it is gone (410)")
        self.offline_queue = self._values(
            "offline_queue", "Conversations, of all nodes", "state", ("due", "waiting", "pending", "dead")
        )
        self.offline_oldest = self._gauge(
            "offline_oldest_seconds", "How long the notification has been owed that is owed longest, of all nodes"
        )

        self.deletions = self._gauge("deletions", "Users whose deletion has not ended, of all nodes")
        self.deletions_ended = self._counters(
            "deletions_ended", "Deletions of users that ended here", "state", ("done", "failed")
        )

    def _tell_of_the_process(self) -> None:
        self.load = self._gauge("loop_load", "Share of the last second that the event loop's thread computed")
        self.loop_lag = self._gauge("loop_lag_seconds", "How late the event loop ran a timer that was due")
        self.spans = self._counter("spans", "Spans of traced messages handed to the exporter")
        self.log_records = self._counters("log_records", "Lines logged", "level", ("warning", "error"))
        self._values("build_info", "1, of this release", "version").put({__version__: 1.0})
        ProcessCollector(registry=self.registry)  # memory, files, processor time; on Linux

    # ------------------------------------------------------------------------------------------------ making them

    def show(self, name: str, says: str, read: Callable[[], float]) -> None:
        """A gauge that is looked up when somebody asks."""
        Reading(f"pushpull_{name}", says, read, self.registry)

    def _counter(self, name: str, says: str) -> Count:
        return Count(f"pushpull_{name}", says, self.registry)

    def _counters(self, name: str, says: str, label: str, known: Iterable[str]) -> Counts:
        return Counts(f"pushpull_{name}", says, label, self.registry, known=known)

    def _gauge(self, name: str, says: str) -> Gauge:
        return Gauge(f"pushpull_{name}", says, registry=self.registry)

    def _values(self, name: str, says: str, label: str, known: Iterable[str] = ()) -> Values:
        return Values(f"pushpull_{name}", says, label, self.registry, known=known)

    def _times(self, name: str, says: str, buckets: tuple[float, ...]) -> Times:
        return Times(f"pushpull_{name}", says, buckets, self.registry)
