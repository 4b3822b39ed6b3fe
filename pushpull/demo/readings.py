"""The service's own counts: its metrics, the processor time of its process, and what its Redis did."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from pushpull.client.addresses import is_loopback
from pushpull.demo.service import OwnService
from pushpull.redis_server import ask, info_field

PREFIX: Final = "pushpull_"


@dataclass(frozen=True, slots=True)
class Reading:
    """At one moment. Empty or None: not known from here (another machine, no /proc, a proxy that hides /metrics)."""

    metrics: dict[str, float] = field(default_factory=dict)
    server_cpu_s: float | None = None
    redis_run: str | None = None  # another one: it was restarted, and its counts began anew
    redis_cpu_s: float | None = None
    redis_commands: int | None = None
    redis_calls: dict[str, int] = field(default_factory=dict)  # by command, those inside scripts too


class Readings:
    """Asks the service at `url`; with `own` also the processes behind it."""

    def __init__(self, url: str, own: OwnService | None = None) -> None:
        self._own = own
        self._client = httpx2.AsyncClient(base_url=url, timeout=5.0, trust_env=not is_loopback(url))

    async def close(self) -> None:
        await self._client.aclose()

    async def metrics(self) -> dict[str, float]:
        """The service's metrics without their prefix, added up over labels; empty when it does not show them."""
        try:
            answer = await self._client.get("/metrics")
        except httpx2.TransportError:
            return {}
        return metrics_in(answer.text) if answer.is_success else {}

    async def everything(self) -> Reading:
        """All that is known."""
        metrics = await self.metrics()
        if self._own is None:
            return Reading(metrics)
        try:
            info = await asyncio.to_thread(ask, self._own.redis_socket, "INFO", "everything", timeout_s=5.0)
        except OSError:
            info = ""
        user, system = info_field(info, "used_cpu_user"), info_field(info, "used_cpu_sys")
        commands = info_field(info, "total_commands_processed")
        return Reading(
            metrics,
            server_cpu_s=cpu_seconds(self._own.pid),
            redis_run=info_field(info, "run_id"),
            redis_cpu_s=float(user) + float(system) if user and system else None,
            redis_commands=int(commands) if commands else None,
            redis_calls=calls_in(info),
        )


def metrics_in(text: str) -> dict[str, float]:
    """Prometheus' text format as {name: value}, labels added up, histograms' buckets left out."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith(PREFIX) and not sample.name.endswith(("_bucket", "_created")):
                name = sample.name.removeprefix(PREFIX)
                values[name] = values.get(name, 0.0) + sample.value
    return values


def calls_in(info: str) -> dict[str, int]:
    """Redis' INFO commandstats as {command: calls}."""
    calls: dict[str, int] = {}
    for line in info.splitlines():
        name, found, fields = line.partition(":calls=")
        if found and name.startswith("cmdstat_"):
            calls[name.removeprefix("cmdstat_")] = int(fields.partition(",")[0])
    return calls


def cpu_seconds(pid: int) -> float | None:
    """User and system time of a process so far; None where /proc does not tell."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    user, system = int(after_name[11]), int(after_name[12])
    return (user + system) / os.sysconf("SC_CLK_TCK")
