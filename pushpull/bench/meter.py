"""What a stretch of time cost: processor time of the service, of Redis and of the load, and what Redis did."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pushpull.bench.cpu import cpu_s, machine_cpu_s
from pushpull.bench.redis_stats import RedisReading, between, read
from pushpull.bench.service import Service


@dataclass(frozen=True, slots=True)
class Usage:
    """Over `seconds`. `load_cpu_s`: of each load process. `machine_cpu_s`: of everything, `stolen_s`: by its host."""

    seconds: float
    server_cpu_s: float
    load_cpu_s: tuple[float, ...]
    redis: RedisReading
    machine_cpu_s: float = 0.0
    stolen_s: float = 0.0

    @property
    def server_cores(self) -> float:
        return self.server_cpu_s / self.seconds

    @property
    def redis_cores(self) -> float:
        return self.redis.cpu_s / self.seconds

    @property
    def cores(self) -> float:
        """Of the service, Redis and the load together."""
        return (self.server_cpu_s + self.redis.cpu_s + sum(self.load_cpu_s)) / self.seconds

    @property
    def other_cores(self) -> float:
        """Of what has no part in this, and what the host took."""
        return max(0.0, (self.machine_cpu_s + self.stolen_s) / self.seconds - self.cores)

    @property
    def load_share(self) -> float:
        """How busy the busiest load process was, of a core."""
        return max(self.load_cpu_s, default=0.0) / self.seconds


class Meter:
    """Runs from its making on."""

    def __init__(self, service: Service, load_pids: Sequence[int]) -> None:
        self._service = service
        self._load_pids = load_pids
        self._redis = read(service.redis_socket)
        self._load = [cpu_s(pid) for pid in load_pids]
        self._server = cpu_s(service.pid)
        self._machine, self._stolen = machine_cpu_s()
        self._began = time.monotonic()

    def read(self) -> Usage:
        """Since the start; the meter runs on."""
        seconds = time.monotonic() - self._began
        machine, stolen = machine_cpu_s()
        return Usage(
            seconds=seconds,
            server_cpu_s=cpu_s(self._service.pid) - self._server,
            load_cpu_s=tuple(cpu_s(pid) - was for pid, was in zip(self._load_pids, self._load, strict=True)),
            redis=between(self._redis, read(self._service.redis_socket)),
            machine_cpu_s=machine - self._machine,
            stolen_s=stolen - self._stolen,
        )
