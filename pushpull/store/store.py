"""The store as a whole: opened against one Redis, checked, and handed out in parts."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from redis.asyncio import Redis

from pushpull.errors import ConfigError, PushpullError
from pushpull.settings import Settings
from pushpull.store.bells import Bells
from pushpull.store.connection import connect
from pushpull.store.conversations import SCHEMA_VERSION, Conversations
from pushpull.store.cursors import CursorTable
from pushpull.store.health import check_health
from pushpull.store.keys import Keys
from pushpull.store.log import Log
from pushpull.store.members import Members
from pushpull.store.nodes import Nodes
from pushpull.store.pending import Pending
from pushpull.store.presence import Presence
from pushpull.store.scripts import Wire
from pushpull.store.sweep import Sweeper
from pushpull.store.values import Health

OLDEST_SERVER: Final = (7, 0)  # sharded pub/sub, scripts that replicate their effects, ZADD XX GT
HEALTH_TIMEOUT_S: Final = 2.0


class Store:
    """Everything that is kept in Redis. Make one with `open`; close it with `aclose`."""

    def __init__(self, client: Redis, settings: Settings) -> None:
        """Over a client that exists, whose server is not looked at. Uses no `redis.url`: that is the client's."""
        limits, retention = settings.limits, settings.retention
        window_ms = settings.idempotency.window_s * 1000
        self._client = client
        self._keys = keys = Keys(settings.redis.prefix)
        self._wire = wire = Wire(client)
        self.sweeper = Sweeper(wire, keys, days=retention.max_age_days, retained=retention.max_messages)
        self.log = Log(
            wire,
            keys,
            window_ms=window_ms,
            retained=retention.max_messages,
            per_s=limits.conversation_sends_per_s,
            inline_max_bytes=settings.delivery.inline_max_bytes,
        )
        self.cursors = CursorTable(wire, keys)
        self.members = Members(
            wire, keys, most_members=limits.members, most_conversations=limits.conversations_per_user
        )
        self.conversations = Conversations(wire, keys, self.members, window_ms=window_ms)
        self.pending = Pending(wire, keys, self.cursors)
        self.nodes = Nodes(wire, keys)
        self.presence = Presence(wire, keys, self.nodes, most_sessions=limits.sessions_per_user)

    @classmethod
    async def open(cls, settings: Settings, *, url: str) -> Store:
        """Connect to `url` (the embedded server's where `redis.url` is empty); check that this release may run there.

        Raises ConfigError (too old a server, a newer schema, a durability it does not give) or StoreUnavailable.
        """
        durability = settings.redis.durability
        if durability == "replicated":
            raise ConfigError("redis.durability replicated is not in this release: expected memory or fsync")
        store = cls(connect(url), settings)
        try:
            await store._check_server()
            if durability == "fsync":
                await store._check_fsync()
            await store._check_schema()
        except BaseException:
            await store.aclose()
            raise
        return store

    async def _check_server(self) -> None:
        info = await self._wire.command("INFO", "server", again=True)
        version = str(info.get("redis_version", "0"))
        parts = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
        if parts < OLDEST_SERVER:
            raise ConfigError(f"redis is version {version}: expected 7.0 or newer")

    async def _check_fsync(self) -> None:
        """Durability `fsync` is exact with `appendfsync always`: Redis answers after its disk has it."""
        try:
            found = await self._wire.command("CONFIG", "GET", "append*")
        except PushpullError:
            raise ConfigError("redis.durability fsync cannot be verified: redis refuses CONFIG GET") from None
        values = dict(zip(found[::2], found[1::2], strict=True))
        for name, expected in (("appendonly", "yes"), ("appendfsync", "always")):
            value = values.get(name.encode(), b"?").decode()
            if value != expected:
                raise ConfigError(f"redis.durability fsync needs {name} {expected}: redis has {name} {value}")

    async def _check_schema(self) -> None:
        key = self._keys.schema()
        await self._wire.command("SET", key, SCHEMA_VERSION, "NX", again=True)
        found = int(await self._wire.command("GET", key, again=True) or 0)
        if found > SCHEMA_VERSION:
            raise ConfigError(f"redis holds schema {found}: this release reads up to {SCHEMA_VERSION}")

    def bells(self) -> Bells:
        """A listener on a connection of its own; call its `start` before anything else."""
        return Bells(self._client, self._wire, self._keys)

    async def health(self) -> Health:
        """Probe Redis: reachable, writable, not evicting. Never raises; answers within about 2 s."""
        try:
            return await asyncio.wait_for(check_health(self._wire, self._keys), HEALTH_TIMEOUT_S)
        except TimeoutError:
            return Health(False, False, False, f"redis does not answer within {HEALTH_TIMEOUT_S:.0f} s")

    async def aclose(self) -> None:
        """Close all connections but those of `bells`, which are their owners'."""
        self.conversations.stop()
        self.presence.stop()
        self._wire.close()
        await self._client.aclose()
        await self._client.connection_pool.disconnect()
