"""The limit of open files: a connection is a file."""

from __future__ import annotations

import resource
from typing import Final

from pushpull.errors import ConfigError

SPARE: Final = 256


def allow(connections: int) -> None:
    """Raise this process's limit as far as needed for so many connections. Raises ConfigError."""
    wanted = connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(f"{wanted} open files are needed and {hard} allowed (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
