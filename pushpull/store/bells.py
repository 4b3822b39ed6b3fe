"""Doorbells, announcements and probes, heard where they ring: on one connection, or on one for each primary.

Channels are sharded ones throughout: on a standalone server they are like any other, on a cluster each rings on the
server that has its slot. `store/ear.py` listens to one server; here it is known which channel belongs where, and what
a channel and its payload mean. When channels have gone to other servers (`Servers.version`), those ears ask for them
again, and their confirmations say that bells may have been lost.

Each shard has a channel of its own on which the node rings itself: only if every one of them comes back, does it hear.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from pushpull.model import Cid
from pushpull.store import codec, control
from pushpull.store.ear import Ear
from pushpull.store.keys import Keys
from pushpull.store.servers import Server, Servers, Shard
from pushpull.store.values import ControlSubscribed, ProbeEcho, Ring, Subscribed
from pushpull.store.watch import Nobody, Watch

logger = logging.getLogger(__name__)

MANY_HEARD_S = 1.0
"""How long an ear among several waits at a time: a new server is looked for in between."""


class Bells:
    """All that is heard. One task calls `next` and `ready`; any may call the rest."""

    def __init__(
        self, servers: Servers, keys: Keys, *, clock: Callable[[], float] | None = None, watch: Watch | None = None
    ) -> None:
        self._servers = servers
        self._watch = watch or Nobody()
        self._keys = keys
        self._clock = clock or asyncio.get_running_loop().time
        self._node = ""
        self._version = -1  # of the servers, when the channels were last given to the ears
        # channel -> cid; None: control. Bounded by the node's feeds.
        self._wanted: dict[bytes, Cid | None] = {}
        self._control = keys.control().encode()
        self._probes: dict[bytes, str] = {}  # channel -> the shard's tag
        self._ears: dict[Server, Ear] = {}
        self._hearing: dict[asyncio.Task[list[Ring]], Ear] = {}  # where there are several: what each waits for
        self._ahead: deque[Ring] = deque()  # what several heard, in order: at most a read's worth of each
        # Held by whoever changes what the ears are asked for: what is subscribed to while all is placed anew would be
        # taken for what has gone elsewhere, and be heard no more.
        self._placing = asyncio.Lock()
        self._unreadable = False

    async def start(self, node_id: str) -> None:
        """Listen on the control channel and on this node's probe channels. Does not wait for Redis."""
        self._node = node_id
        self._wanted[self._control] = None
        await self._place()

    async def subscribe(self, cids: Sequence[Cid]) -> None:
        """Hear the bells of `cids`; `next` says Subscribed for each once Redis has confirmed it. Never raises."""
        channels = {self._keys.bell(cid).encode(): cid for cid in cids}
        async with self._placing:
            self._wanted.update(channels)
            for server, mine in self._by_server(channels).items():
                await self._ear(server).subscribe(mine)

    async def unsubscribe(self, cids: Sequence[Cid]) -> None:
        """Hear no more of `cids`, not even what is on its way. Never raises."""
        channels = [self._keys.bell(cid).encode() for cid in cids]
        async with self._placing:
            for channel in channels:
                self._wanted.pop(channel, None)
            for ear in list(self._ears.values()):
                await ear.unsubscribe(channels)

    def shards(self) -> list[str]:
        """What must be heard from, by name; a probe of each comes back as a ProbeEcho that names it."""
        return [shard.tag for shard in self._servers.shards()]

    async def probe(self, token: str) -> None:
        """Publish `token` to this node's own channel on each shard: a ProbeEcho proves that doorbells ring there.

        Never raises: where it cannot be published, none comes.
        """
        await asyncio.gather(*(self._probe(shard, token) for shard in self._servers.shards()))

    async def _probe(self, shard: Shard, token: str) -> None:
        (reply,) = await shard.server.exchange([("SPUBLISH", self._keys.probe(self._node, shard.tag), token)])
        if isinstance(reply, Exception):
            logger.debug("a probe was not published on %s: %s", shard.server.name, type(reply).__name__)

    async def reconnect(self, shard: str) -> None:
        """Nothing is heard from this shard: try another connection to it."""
        for each in self._servers.shards():
            if each.tag == shard and each.server in self._ears:
                await self._ears[each.server].reconnect()

    async def aclose(self) -> None:
        """Close the connections; call it when nobody waits in `next` any more."""
        self._wanted.clear()
        for server in list(self._ears):
            await self._close_ear(server)

    # ------------------------------------------------------------------------------------------------ hearing

    async def next(self, timeout_s: float) -> Ring | None:
        """The next thing heard, or None after `timeout_s` without any. Rides through servers that go away."""
        if self._version != self._servers.version:
            await self._place()
        if self._ahead:
            return self._ahead.popleft()
        if len(self._ears) == 1 and not self._hearing:
            (ear,) = self._ears.values()
            return await ear.next(timeout_s)
        return await self._next_of_many(timeout_s)

    def ready(self) -> list[Ring]:
        """What else was heard together with what `next` returned last, in order; nothing is waited for."""
        if self._hearing or self._ahead:
            heard = list(self._ahead)
            self._ahead.clear()
            return heard
        return [ring for ear in self._ears.values() for ring in ear.ready()]

    async def _next_of_many(self, timeout_s: float) -> Ring | None:
        """Each ear waits in a task of its own, which goes on when this call is given up: nothing heard is lost."""
        waiting = set(self._hearing.values())
        for ear in self._ears.values():
            if ear not in waiting:
                self._hearing[asyncio.create_task(_hear(ear), name="ear")] = ear
        if not self._hearing:
            await asyncio.sleep(timeout_s)
            return None
        done, _ = await asyncio.wait(self._hearing, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._hearing[task]
            self._ahead.extend(task.result())
        return self._ahead.popleft() if self._ahead else None

    # ------------------------------------------------------------------------------------------------ what is where

    async def _place(self) -> None:
        """Give each channel to the ear of the server that has it; ears without any are closed."""
        async with self._placing:
            self._version = self._servers.version
            self._probes = {self._keys.probe(self._node, tag).encode(): tag for tag in self.shards()}
            wanted = self._by_server([*self._wanted, *self._probes])
            for server in [server for server in self._ears if server not in wanted]:
                await self._close_ear(server)
            for server, channels in wanted.items():
                ear = self._ear(server)
                still = set(channels)
                await ear.unsubscribe([channel for channel in ear.wanted if channel not in still])
                await ear.subscribe([channel for channel in channels if channel not in ear.wanted])

    def _by_server(self, channels: Iterable[bytes]) -> dict[Server, list[bytes]]:
        found: dict[Server, list[bytes]] = {}
        for channel in channels:
            server = self._servers.owner(channel)
            if server is not None:  # else nobody has it: `_place` finds out who takes it
                found.setdefault(server, []).append(channel)
        return found

    def _ear(self, server: Server) -> Ear:
        ear = self._ears.get(server)
        if ear is None:
            ear = self._ears[server] = Ear(server, self, clock=self._clock)
        return ear

    async def _close_ear(self, server: Server) -> None:
        ear = self._ears.pop(server)
        for task in [task for task, hears in self._hearing.items() if hears is ear]:
            del self._hearing[task]
            task.cancel()
            await asyncio.wait([task])
        await ear.aclose()

    # ------------------------------------------------------------------------------------------------ meaning

    def lost(self) -> None:
        self._watch.lost_bells()
        self._servers.renew_soon()

    def subscribed(self, channel: bytes) -> Ring | None:
        if channel == self._control:
            return ControlSubscribed()
        cid = self._wanted.get(channel)
        return None if cid is None else Subscribed(cid)

    def message(self, channel: bytes, payload: bytes) -> Ring | None:
        """Hot path: once per message and node."""
        cid = self._wanted.get(channel)
        try:
            if cid is not None:
                return codec.rung(cid, payload)
            if channel == self._control:
                return control.decode(payload)
        except (ValueError, RecursionError) as error:
            # Said once: a node of another release may ring like this all day.
            level = logging.DEBUG if self._unreadable else logging.WARNING
            logger.log(level, "doorbells: cannot read a payload on %r: %s", channel, type(error).__name__)
            self._unreadable = True
            return Subscribed(cid) if cid is not None else ControlSubscribed()
        shard = self._probes.get(channel)
        return None if shard is None else ProbeEcho(payload.decode(errors="replace"), shard)


async def _hear(ear: Ear) -> list[Ring]:
    first = await ear.next(MANY_HEARD_S)
    return [] if first is None else [first, *ear.ready()]
