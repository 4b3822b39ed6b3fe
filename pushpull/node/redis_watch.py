"""What the store tells of its work, counted."""

from __future__ import annotations

from pushpull.node.metrics import Metrics


class RedisWatch:
    """The store's Watch. Called once a pipeline: on the way of each batch of sends."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._seconds = metrics.redis_seconds.observe
        self._calls = metrics.redis_calls.inc

    def exchanged(self, seconds: float, calls: int) -> None:
        self._seconds(seconds)
        self._calls(calls)

    def tried_again(self, calls: int) -> None:
        self._metrics.redis_retries.inc(calls)

    def failed(self, reason: str) -> None:
        self._metrics.redis_failures.labels(reason).inc()

    def lost_bells(self) -> None:
        self._metrics.doorbell_losses.inc()
