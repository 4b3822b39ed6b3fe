"""The benchmark's own error."""

from __future__ import annotations

from pushpull.errors import PushpullError


class BenchFailed(PushpullError):
    """A workload could not run, or what it counted does not add up: its figures mean nothing."""

    code = "bench_failed"
