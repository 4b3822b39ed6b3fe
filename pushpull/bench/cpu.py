"""What the operating system says of a process: processor time and memory."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from pushpull.errors import ConfigError

KIB: Final = 1024
CPUCLOCK_SCHED: Final = 2
"""Linux, posix-timers.h: the low bits of a clock id that is another process's time on a processor."""


def cpu_s(pid: int) -> float:
    """User and system time (s) of a process so far. Raises ConfigError where it is not known.

    Read from the process's own clock, as clock_getcpuclockid(3) names it on Linux: /proc tells in steps of 10 ms,
    which is more than many a stretch takes.
    """
    try:
        return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED)
    except OSError:
        raise ConfigError(f"the clock of process {pid} cannot be read: it ended, or this is not Linux") from None


def machine_cpu_s() -> tuple[float, float]:
    """Processor time (s) so far of all that runs on this machine, and what its host kept from it (steal)."""
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
    except OSError as problem:
        raise ConfigError(f"/proc does not tell how busy the machine is: {problem.strerror}") from problem
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(ticks) for ticks in first[:8])
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, steal / tick


def rss_bytes(pid: int) -> int:
    """Memory of a process that is in RAM. Raises ConfigError where it is not known."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError as problem:
        raise ConfigError(f"/proc does not tell how large process {pid} is: {problem.strerror}") from problem
    return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmRSS:"))
