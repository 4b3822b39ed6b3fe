"""The store as a whole: opened against the servers of `redis.url`, checked, and handed out in parts."""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis

from pushpull.model import Cid
from pushpull.settings import Settings
from pushpull.store.absences import Absences
from pushpull.store.bells import Bells
from pushpull.store.checks import barrier_of, check_schema, check_servers
from pushpull.store.connection import connect, servers_of
from pushpull.store.conversations import Conversations
from pushpull.store.cursors import CursorTable
from pushpull.store.deletions import Deletions
from pushpull.store.devices import Devices
from pushpull.store.erasure import Erasure
from pushpull.store.exchange import Barrier
from pushpull.store.exports import Exports
from pushpull.store.health import check_health
from pushpull.store.imports import Imports
from pushpull.store.jobs import Jobs
from pushpull.store.keys import Keys, tag_of
from pushpull.store.log import Log
from pushpull.store.members import Members
from pushpull.store.memory import Memory, memory_of
from pushpull.store.nodes import Nodes
from pushpull.store.pending import Pending
from pushpull.store.policy import PolicyStore
from pushpull.store.presence import Presence
from pushpull.store.questions import Questions
from pushpull.store.reports import Reports
from pushpull.store.scripts import Wire
from pushpull.store.servers import Servers
from pushpull.store.signals import Signals
from pushpull.store.sweep import Sweeper
from pushpull.store.traces import Traces
from pushpull.store.values import Health
from pushpull.store.watch import Nobody, Watch

HEALTH_TIMEOUT_S: Final = 2.5  # more than a socket's patience where another server may take over


class Store:
    """Everything that is kept in Redis. Make one with `open`; close it with `aclose`."""

    def __init__(self, servers: Servers | Redis, settings: Settings, *, barrier: Barrier | None = None) -> None:
        """Over servers that are known (or a client of redis-py's for one), which are not looked at.

        Uses no `redis.url`: that is theirs. `barrier`: what must be confirmed of an append.
        """
        self._servers = servers = servers_of(servers) if isinstance(servers, Redis) else servers
        limits, retention = settings.limits, settings.retention
        window_ms = settings.idempotency.window_s * 1000
        self._keys = keys = Keys(settings.redis.prefix)
        self._wire = wire = Wire(servers)
        self._watch: Watch = Nobody()
        self.sweeper = Sweeper(wire, keys, days=retention.max_age_days, retained=retention.max_messages)
        self.log = Log(
            wire,
            keys,
            window_ms=window_ms,
            retained=retention.max_messages,
            per_s=limits.conversation_sends_per_s,
            inline_max_bytes=settings.delivery.inline_max_bytes,
            barrier=barrier,
        )
        self._replicas = settings.redis.replicas if settings.redis.durability == "replicated" else 0
        self.cursors = CursorTable(wire, keys)
        self.members = Members(
            wire, keys, most_members=limits.members, most_conversations=limits.conversations_per_user
        )
        self.conversations = Conversations(wire, keys, self.members, window_ms=window_ms)
        self.erasure = Erasure(wire, keys, self.members, window_ms=window_ms)
        self.deletions = Deletions(wire, keys)
        self.exports = Exports(wire, keys, self.members)
        self.imports = Imports(
            wire,
            keys,
            window_ms=window_ms,
            most_conversations=limits.conversations_per_user,
            barrier=barrier,
        )
        self.pending = Pending(wire, keys, self.cursors)
        self.absences = Absences(wire, keys, by=settings.offline.withdraw_by)
        self.jobs = Jobs(wire, keys, idle_s=settings.offline.silence_s)
        self.signals = Signals(wire, keys)
        self.policy = PolicyStore(wire, keys)
        self.nodes = Nodes(wire, keys)
        self.reports = Reports(wire, keys)
        self.devices = Devices(wire, keys)
        self.questions = Questions(wire, keys)
        self.traces = Traces(wire, keys, self.members, window_ms=window_ms)
        self.presence = Presence(wire, keys, self.nodes, most_sessions=limits.sessions_per_user)

    @classmethod
    async def open(cls, settings: Settings, *, url: str) -> Store:
        """Connect to `url` (the embedded server's where `redis.url` is empty); check that this release may run there.

        Raises ConfigError (too old a server, a newer schema, a durability it does not give) or StoreUnavailable.
        """
        servers = connect(url)
        try:
            await servers.open()
            wire = Wire(servers)
            await check_servers(wire)
            barrier = await barrier_of(servers, settings.redis)
            await check_schema(wire, Keys(settings.redis.prefix))
        except BaseException:
            await servers.aclose()
            raise
        return cls(servers, settings, barrier=barrier)

    def lane(self, cid: Cid) -> int:
        """Which lane a conversation is in: what waits for one lane must not keep another waiting. 0 where Redis is one
        server; on a cluster a shard that is away takes its own lanes with it, 16 in all."""
        return self._servers.lane(tag_of(cid))

    def bells(self) -> Bells:
        """A listener on connections of its own, one to each primary; call its `start` before anything else."""
        return Bells(self._servers, self._keys, watch=self._watch)

    def watched_by(self, watch: Watch) -> None:
        """Tell `watch` of what goes to Redis from now on; call it before `bells`."""
        self._watch = self._wire.watch = watch

    async def memory(self) -> list[Memory]:
        """What each primary uses; those that do not answer are left out. Raises nothing."""
        return await memory_of(self._servers)

    async def health(self) -> Health:
        """Probe each primary: reachable, writable, with its replicas, not evicting. Never raises; within 2.5 s."""
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                return await check_health(self._servers, self._keys, replicas=self._replicas)
        except TimeoutError:
            return Health(False, False, False, f"redis does not answer within {HEALTH_TIMEOUT_S:g} s")

    async def aclose(self) -> None:
        """Close all connections but those of `bells`, which are their owners'."""
        self.conversations.stop()
        self.presence.stop()
        self.signals.stop()
        self._wire.close()
        await self._servers.aclose()
