"""Ports for servers that must be told one before they start, and that nobody else takes in the meantime.

A port that the system gives out and that is let go again may be anybody's a moment later: the next connection's, or
another test's. These are below the range the system gives out, and each process that runs tests has a share of its own.
With the 10,000 that the bus of a cluster's server adds, they stay below it, too.
"""

from __future__ import annotations

import itertools
import os
import random
import socket
from typing import Final

FIRST: Final = 10_500
LAST: Final = 20_400


def _share() -> range:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (LAST - FIRST) // int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    return range(FIRST + worker * size, FIRST + (worker + 1) * size)


_ports: Final = _share()
_next: Final = itertools.count(random.randrange(len(_ports)))  # two runs on one machine need not meet


def free_port(count: int = 1) -> int:
    """The first of `count` TCP ports in a row of the loopback interface that nobody listens on."""
    for _ in range(len(_ports)):
        first = _ports[next(_next) % len(_ports)]
        for _ in range(count - 1):
            next(_next)
        if first + count <= _ports.stop and all(_is_free(first + n) for n in range(count)):
            return first
    raise RuntimeError(f"no {count} free ports in a row from {_ports.start} to {_ports.stop - 1}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: what ended does not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
