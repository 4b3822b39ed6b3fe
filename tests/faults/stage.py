"""A service to break: a Redis, several `pushpull serve` processes, and lines between all of them that can be made bad.

    device ── client proxy ── node ── redis proxy ── Redis

Every node has a proxy before it and, where asked for, one behind it. Faults (faults.py) take the stage and harm it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from tests.e2e.service import ServiceProcess
from tests.faults.clock import Clock
from tests.faults.proxy import Proxy

SETTINGS: dict[str, Any] = {
    "server__drain_s": 1,
    "delivery__audit_interval_s": 2,
    "limits__sends_per_s": 10_000,
    "limits__frames_per_s": 10_000,
    "limits__conversation_sends_per_s": 10_000,
}
"""Short intervals, and no rates: a fault is to be seen, not a limit."""


class Redis(Protocol):
    """What a stage needs of a Redis: RedisServer, or several servers that stand for one (tests/servers.py)."""

    @property
    def url(self) -> str: ...


@dataclass
class StageNode:
    """One node and the lines around it."""

    process: ServiceProcess
    clients: Proxy  # between devices and the node
    redis: Proxy | None  # between the node and Redis
    clock: Clock | None = None

    @property
    def url(self) -> str:
        """Where devices and backends find it."""
        return f"http://127.0.0.1:{self.clients.port}"


class Stage:
    """`redis_socket`: the path of a Redis' unix socket; with it, each node talks to Redis through a proxy. `clocks`:
    each node has a clock of its own. `environ`: what the environment of each node's first start has beside ours."""

    def __init__(
        self,
        directory: Path,
        redis: Redis,
        *,
        nodes: int = 3,
        redis_socket: Path | None = None,
        clocks: bool = False,
        environ: Mapping[str, str] | None = None,
        seed: int = 0,
        **settings: Any,
    ) -> None:
        self.redis: Any = redis
        self.random = random.Random(seed)
        self.nodes: list[StageNode] = []
        self._directory = directory
        self._count = nodes
        self._redis_socket = redis_socket
        self._clocks = clocks
        self._environ = dict(environ or {})
        self.settings = {**SETTINGS, **settings}

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    def node(self) -> StageNode:
        """Any of them."""
        return self.random.choice(self.nodes)

    async def __aenter__(self) -> Self:
        try:
            for number in range(self._count):
                self.nodes.append(await self._node(number))
            await asyncio.gather(*(asyncio.to_thread(node.process.start) for node in self.nodes))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _node(self, number: int) -> StageNode:
        directory = self._directory / f"node-{number}"
        directory.mkdir(parents=True)
        behind, url = None, self.redis.url
        if self._redis_socket is not None:
            behind = Proxy(str(self._redis_socket))
            await behind.start()
            url = f"redis://127.0.0.1:{behind.port}"
        process = ServiceProcess(directory, url, **self.settings)
        process.environ |= self._environ
        clock = Clock(directory / "clock") if self._clocks else None
        if clock is not None:
            process.environ |= clock.environ
        before = Proxy(("127.0.0.1", process.port))
        await before.start()
        return StageNode(process, before, behind, clock)

    async def __aexit__(self, *_: Any) -> None:
        await asyncio.gather(*(asyncio.to_thread(node.process.kill) for node in self.nodes))
        for node in self.nodes:
            await node.clients.stop()
            if node.redis is not None:
                await node.redis.stop()
