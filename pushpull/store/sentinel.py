"""Redis Sentinel: one primary at a time, and sentinels that say which.

Each connection asks the sentinels for the primary when it is made, and looks whether it found one; so whatever
reconnects, reconnects to the primary of that moment. Where a call was lost, or refused by one that is a replica now,
the other connections are of no more use, and go: those to another server than the sentinels name, and those at rest.

A primary that hung and comes back believes that it still is one, until the sentinels tell it, some ten seconds later.
Whatever waited for its answer must not take it: a connection asks the sentinels again once it stands, and every LOOK_S
those go that lead elsewhere. A process that hung itself, with such a primary perhaps, has not looked for longer than
TRUSTED_S: then every command waits for a look first.
"""

from __future__ import annotations

import asyncio
import logging
import time
import weakref
from collections.abc import Sequence
from typing import Any, Final

from redis import exceptions as redis_errors

from pushpull.errors import StoreUnavailable
from pushpull.store.asking import ask_some
from pushpull.store.exchange import on_connection
from pushpull.store.refusals import ELSEWHERE
from pushpull.store.servers import REPLACED_RETRY_FOR_S, OneServer
from pushpull.store.sockets import Plain, Tls, make_pool

logger = logging.getLogger(__name__)

RENEW_WAIT_S: Final = 1.5
LOOK_S: Final = 1.0  # between two looks at whom the sentinels name
TRUSTED_S: Final = 3.0
"""How old a look may be: less than a failover takes, more than a look where a sentinel does not answer."""


class Sentinels:
    """Those who know the primary called `name`. `options`: connection arguments for each."""

    def __init__(self, options: Sequence[dict[str, Any]], name: str) -> None:
        self._pools = [make_pool(each, replaced=True) for each in options]
        self._name = name
        self._asking: asyncio.Task[tuple[str, int] | None] | None = None
        self._looked_at = time.monotonic()
        self.connections: weakref.WeakSet[Any] = weakref.WeakSet()  # those that found their server here

    async def primary(self) -> tuple[str, int]:
        """Host and port of the primary, by the sentinel that has seen the latest failover; many who ask at the same
        time ask once. Raises redis' ConnectionError where none of them says."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(), name="ask sentinels")
            self._asking.add_done_callback(self._asked)
        found = await asyncio.shield(self._asking)
        if found is None:
            raise redis_errors.ConnectionError("no sentinel names a primary")
        return found

    def _asked(self, done: asyncio.Task[tuple[str, int] | None]) -> None:
        self._asking = None
        self._looked_at = time.monotonic()
        _ = done.cancelled() or done.exception()  # retrieved: whoever asked may have gone

    async def _ask(self) -> tuple[str, int] | None:
        # MASTER says since which failover. Who is primary only the other question tells at once: in MASTER the sentinel
        # that leads a failover names the old one until the other replicas follow, or failover-timeout is over.
        questions = [("SENTINEL", "MASTER", self._name), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)]
        told: list[tuple[int, bytes, bytes]] = []
        for _, (about, address) in await ask_some(self._pools, questions):
            fields = dict(zip(about[::2], about[1::2], strict=True))
            told.append((int(fields.get(b"config-epoch", 0)), *address))
        if not told:
            return None
        _, host, port = max(told, key=lambda each: each[0])
        return host.decode(), int(port)

    @property
    def trusted(self) -> bool:
        """Whether they were asked of late, by anybody, and be it in vain."""
        return time.monotonic() - self._looked_at < TRUSTED_S

    async def leave_others(self) -> None:
        """Close the connections to any other server than the one that is named now."""
        try:
            where = await self.primary()
        except redis_errors.ConnectionError:
            return  # nobody knows better
        for connection in list(self.connections):
            if connection.is_connected and (connection.host, connection.port) != where:
                await connection.disconnect(nowait=True)

    async def aclose(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])


class _ToPrimary:
    """A connection that finds its server itself. Mixed in before a class of `sockets`."""

    host: str
    port: int

    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        self._sentinels = sentinels
        super().__init__(**options)
        sentinels.connections.add(self)

    async def _connect(self) -> None:
        self.host, self.port = await self._sentinels.primary()
        await super()._connect()  # type: ignore[misc]

    async def on_connect_check_health(self, check_health: bool = True) -> None:
        await super().on_connect_check_health(check_health=check_health)  # type: ignore[misc]
        role = (await on_connection(self, [("ROLE",)]))[0]
        if isinstance(role, Exception) or role[0] != b"master":
            raise redis_errors.ConnectionError("the server that the sentinels name is no primary (yet)")
        if await self._sentinels.primary() != (self.host, self.port):
            raise redis_errors.ConnectionError("the sentinels name another server by now")

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        if not self._sentinels.trusted:
            await self._sentinels.leave_others()  # this one, too, where it leads elsewhere: it connects anew
        await super().send_packed_command(command, check_health)  # type: ignore[misc]


class _PlainToPrimary(_ToPrimary, Plain):
    pass


class _TlsToPrimary(_ToPrimary, Tls):
    pass


class Watched(OneServer):
    """The Servers of a primary under sentinels: one server, which may be another one in a moment."""

    def __init__(self, sentinels: Sequence[dict[str, Any]], name: str, primary: dict[str, Any]) -> None:
        """`primary`: connection arguments of whoever is primary, but for host and port."""
        self._sentinels = Sentinels(sentinels, name)
        cls = _TlsToPrimary if "connection_class" in primary else _PlainToPrimary
        super().__init__(
            make_pool({**primary, "sentinels": self._sentinels}, replaced=True, connection_class=cls), name
        )
        self.retry_for_s = REPLACED_RETRY_FOR_S
        self._renewing: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        try:
            await self._sentinels.primary()
        except redis_errors.ConnectionError as problem:
            raise StoreUnavailable(str(problem)) from None
        self._looking = asyncio.create_task(self._look(), name="look at the sentinels")

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self._sentinels.leave_others()
            except Exception:
                # Whatever they said: who stops looking would stay with a primary that was replaced.
                logger.exception("the sentinels' answer cannot be used")

    def goes_elsewhere(self, error: Exception) -> bool:
        return isinstance(error, ELSEWHERE)

    async def renew(self) -> None:
        if self._renewing is None:
            self._renewing = asyncio.create_task(self._renew(), name="ask sentinels and drop")
            self._renewing.add_done_callback(self._renewed)
        await asyncio.wait([self._renewing], timeout=RENEW_WAIT_S)

    def _renewed(self, done: asyncio.Task[None]) -> None:
        self._renewing = None
        if not done.cancelled() and (problem := done.exception()) is not None:
            logger.error("the primary cannot be looked up: %s", type(problem).__name__)

    async def _renew(self) -> None:
        pool = self._server.pool
        for connection in list(pool._available_connections):
            await connection.disconnect(nowait=True)
        await self._sentinels.leave_others()

    async def aclose(self) -> None:
        for task in (self._renewing, self._looking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        await self._sentinels.aclose()
        await super().aclose()
