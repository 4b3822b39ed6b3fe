"""The servers behind `redis.url`: one, one at a time (Sentinel), or many that share the keys (Cluster).

Whoever asks sees keys. Which server has them, and what to do when another takes over, is known here and below.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis import exceptions as redis_errors

from pushpull.store.exchange import Barrier, Command, exchange

RETRY_FOR_S: Final = 3.0
REPLACED_RETRY_FOR_S: Final = 5.0
"""Where another server takes over: it takes 3 to 5 s (cluster-node-timeout, down-after 2000 ms)."""


class Server:
    """One server and the connections to it."""

    def __init__(self, name: str, pool: Any, *, lost: Callable[[], None] = lambda: None) -> None:
        """`name`: host:port, for logs. `lost` is called when a call found the server away or silent."""
        self.name = name
        self.pool = pool
        self._lost = lost
        self._closed = False

    async def exchange(self, commands: Sequence[Command], barrier: Barrier | None = None) -> list[Any]:
        """Send commands in one pipeline; replies in order. What was refused is an exception in its place, and where
        the connection is lost, that is in every place: nothing is raised."""
        try:
            return await exchange(self.pool, commands, barrier)
        except (redis_errors.RedisError, OSError) as error:
            self._lost()
            return [error] * len(commands)
        finally:
            if self._closed:
                await self.drop(busy=False)  # one that was being made when the others were closed

    def make_connection(self) -> Any:
        """A connection of the caller's own, outside of the pool, not connected yet."""
        return self.pool.make_connection()

    async def aclose(self) -> None:
        """Close all connections, those in use, too: their calls fail as lost."""
        self._closed = True
        await self.pool.disconnect()

    async def drop(self, *, busy: bool) -> None:
        """Close the connections of the pool, with `busy` those in use, too; the next call makes new ones."""
        for connection in (*self.pool._available_connections, *(self.pool._in_use_connections if busy else ())):
            await connection.disconnect(nowait=True)


@dataclass(frozen=True, slots=True)
class Shard:
    """A primary, and a hash tag of its slots: `key{tag}` is one of its keys. "" where it has all keys."""

    server: Server
    tag: str


class Servers(Protocol):
    retry_for_s: float
    """How long a call is tried again."""

    version: int
    """Grows when keys have gone to another server."""

    async def open(self) -> None:
        """Find the servers. Raises StoreUnavailable where nobody says who they are."""

    async def exchange(self, commands: Sequence[Command], barrier: Barrier | None = None) -> list[Any]:
        """Send commands where their keys are, all of one server in one pipeline, the servers side by side.

        Replies in order; see Server.exchange. A server that is away fails its own commands alone.
        """

    def owner(self, key: str | bytes) -> Server | None:
        """Who has `key`, as far as is known; None: nobody."""

    def shards(self) -> list[Shard]:
        """All primaries, as far as is known."""

    def missing(self) -> str:
        """What nobody has, in words; "": everything is somebody's."""

    def lane(self, tag: str) -> int:
        """Which lane what has this hash tag goes in: what is under way in one lane must not keep another waiting."""

    def goes_elsewhere(self, error: Exception) -> bool:
        """Whether a refusal means: not carried out, and another server will take it."""

    async def renew(self) -> None:
        """Find out anew who has what: something was refused or lost. Never raises; bounded in time."""

    def renew_soon(self) -> None:
        """The same, in the background."""

    async def aclose(self) -> None: ...


class OneServer:
    """A standalone Redis: nobody to take over."""

    def __init__(self, pool: Any, name: str = "redis") -> None:
        self.retry_for_s = RETRY_FOR_S
        self.version = 0
        self._server = Server(name, pool)
        self._shard = Shard(self._server, "")

    async def open(self) -> None: ...

    async def exchange(self, commands: Sequence[Command], barrier: Barrier | None = None) -> list[Any]:
        return await self._server.exchange(commands, barrier)

    def owner(self, key: str | bytes) -> Server:
        return self._server

    def shards(self) -> list[Shard]:
        return [self._shard]

    def missing(self) -> str:
        return ""

    def lane(self, tag: str) -> int:
        return 0

    def goes_elsewhere(self, error: Exception) -> bool:
        return False

    async def renew(self) -> None: ...

    def renew_soon(self) -> None: ...

    async def aclose(self) -> None:
        await self._server.aclose()
