"""What Redis did between two moments: commands (those inside scripts too), processor time, bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pushpull.demo.readings import calls_in
from pushpull.errors import ConfigError
from pushpull.redis_server import ask, info_field

ASKING: Final = frozenset({"info", "memory|usage", "config|set", "ping"})
"""Commands of the benchmark itself."""
ANSWER_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class RedisReading:
    """At one moment, since Redis was started."""

    cpu_s: float
    calls: Mapping[str, int]  # by command
    received_bytes: int  # from clients
    used_bytes: int  # memory
    aof_bytes: int

    @property
    def commands(self) -> int:
        """All of them; a script counts, and so does each command in it."""
        return sum(self.calls.values())


def read(socket_path: Path) -> RedisReading:
    """Ask the Redis at this socket. Raises ConfigError when it does not answer."""
    try:
        info = ask(socket_path, "INFO", "everything", timeout_s=ANSWER_S)
    except OSError as problem:
        raise ConfigError(f"redis at {socket_path} does not answer: {problem}") from problem
    return RedisReading(
        cpu_s=_number(info, "used_cpu_user") + _number(info, "used_cpu_sys"),
        calls={name: count for name, count in calls_in(info).items() if name not in ASKING},
        received_bytes=int(_number(info, "total_net_input_bytes")),
        used_bytes=int(_number(info, "used_memory")),
        aof_bytes=int(_number(info, "aof_current_size")),
    )


def between(before: RedisReading, after: RedisReading) -> RedisReading:
    """What happened from `before` to `after`; commands that did not run are left out."""
    calls = {name: count - before.calls.get(name, 0) for name, count in after.calls.items()}
    return RedisReading(
        cpu_s=after.cpu_s - before.cpu_s,
        calls={name: count for name, count in sorted(calls.items()) if count},
        received_bytes=after.received_bytes - before.received_bytes,
        used_bytes=after.used_bytes - before.used_bytes,
        aof_bytes=after.aof_bytes - before.aof_bytes,
    )


def memory_usage(socket_path: Path, key: str) -> int:
    """Bytes of one key, counted and not estimated from samples; 0 when there is no such key."""
    return int(ask(socket_path, "MEMORY", "USAGE", key, "SAMPLES", "0", timeout_s=ANSWER_S) or 0)


def _number(info: str, name: str) -> float:
    value = info_field(info, name)
    if value is None:
        raise ConfigError(f"redis does not say its {name} in INFO")
    return float(value)
