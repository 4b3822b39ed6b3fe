"""A primary and its replicas, real servers under the eyes of real sentinels."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tests.servers.ports import free_port
from tests.servers.server import READY_S, RedisServer, in_sync, wait_until


class _Sentinel(RedisServer):
    """One sentinel. It writes what it learns into its configuration file, so it is started from one."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(port=free_port())
        self._config = self.directory / "sentinel.conf"
        kept = ("port", "bind", "unixsocket", "dir", "logfile")
        own = [f"{name} {self._options[name]}" for name in kept]
        self._config.write_text("\n".join((*own, *lines)) + "\n")

    def _arguments(self) -> list[str]:
        return [str(self._config), "--sentinel"]


class SentinelSetup:
    """A primary with `replicas`, watched by `sentinels`, under the name `main`.

    `servers` are the primary of the start and its replicas; kill, pause, resume and start one as any RedisServer.
    """

    NAME = "main"

    def __init__(
        self, *, replicas: int = 1, sentinels: int = 3, appendonly: bool = False, **options: str | int
    ) -> None:
        self.servers = [
            RedisServer(
                **{"appendonly": appendonly, "port": free_port(), "repl_diskless_sync_delay": 0, **options}  # type: ignore[arg-type]
            )
            for _ in range(1 + replicas)
        ]
        watched = f"sentinel monitor {self.NAME} 127.0.0.1 {self.servers[0].port} {sentinels // 2 + 1}"
        times = (f"sentinel down-after-milliseconds {self.NAME} 2000", f"sentinel failover-timeout {self.NAME} 4000")
        self.sentinels = [_Sentinel([watched, *times]) for _ in range(sentinels)]

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://{hosts}/{self.NAME}"

    def start(self) -> None:
        """Start all and wait until the replicas are in sync and the sentinels know them and each other."""
        first = self.servers[0]
        for server in self.servers:
            server.start()
        for replica in self.servers[1:]:
            replica.ask("REPLICAOF", "127.0.0.1", str(first.port))
        wait_until(lambda: all(in_sync(server) for server in self.servers), "the replicas are in sync")
        for sentinel in self.sentinels:
            sentinel.start()
        self.wait_ready()

    def wait_ready(self, *, within_s: float = READY_S) -> None:
        """Wait until the sentinels know each other, a primary that answers, and every server that lives."""
        wait_until(
            lambda: all(self._knows(each) for each in self.sentinels if each.alive), "watched", within_s=within_s
        )

    def _knows(self, sentinel: RedisServer) -> bool:
        told = sentinel.ask("INFO", "sentinel")
        others, replicas = len(self.sentinels), len(self.servers) - 1
        return f"status=ok,address=127.0.0.1:{self.primary().port},slaves={replicas},sentinels={others}" in told

    def primary(self) -> RedisServer:
        """Who is primary by the word of the first sentinel that answers. LookupError: none does."""
        for sentinel in self.sentinels:
            with contextlib.suppress(OSError):
                told = sentinel.ask("INFO", "sentinel")
                port = int(told.partition("address=")[2].partition(",")[0].rpartition(":")[2])
                return next(server for server in self.servers if server.port == port)
        raise LookupError("no sentinel answers")

    def replicas(self) -> list[RedisServer]:
        primary = self.primary()
        return [server for server in self.servers if server is not primary and server.alive]

    def remove(self) -> None:
        for server in (*self.sentinels, *self.servers):
            server.remove()
