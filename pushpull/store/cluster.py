"""Redis Cluster: who has which slots, and each command sent there.

Theory of operation. `_owners` is a guess that was true when it was last asked. A command that goes to the wrong server
is answered with where it belongs (MOVED, ASK), was not carried out, and is sent again; a server that is away or has
lost its slots makes the map be asked for anew, of three servers at once, the one that has seen the latest epoch is
believed. Meanwhile the commands of all other shards go on: nobody waits for the map but who failed by it.

Bounded: a server and its pool for each primary of the map, and one for each other member, without connections.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Mapping, Sequence
from typing import Any, Final

from redis import exceptions as redis_errors

from pushpull.errors import StoreUnavailable
from pushpull.store.asking import ask_some
from pushpull.store.exchange import Barrier, Command, key_of
from pushpull.store.refusals import ELSEWHERE
from pushpull.store.servers import REPLACED_RETRY_FOR_S, Server, Shard
from pushpull.store.slots import SLOTS, lane_of, slot_of
from pushpull.store.sockets import make_pool

logger = logging.getLogger(__name__)

RENEW_WAIT_S: Final = 1.5  # what one waits at most for the map before the next try

_ASKING: Final[Command] = ("ASKING",)
_ASKED: Final[tuple[Command, ...]] = (("CLUSTER", "SLOTS"), ("CLUSTER", "INFO"))

Address = tuple[str, int]


class Cluster:
    """The Servers of a cluster. `options`: one set of connection arguments for each host of the URL."""

    def __init__(self, options: Sequence[Mapping[str, Any]]) -> None:
        self.retry_for_s = REPLACED_RETRY_FOR_S
        self.version = 0
        self._login = {name: value for name, value in options[0].items() if name not in ("host", "port")}
        self._seeds = [(str(each["host"]), int(each["port"])) for each in options]
        self._servers: dict[Address, Server] = {}
        self._members: set[Address] = set(self._seeds)  # whom to ask: all of the last map, and the seeds
        self._owners: list[Server | None] = [None] * SLOTS
        self._shards: list[Shard] = []
        self._renewing: asyncio.Task[bool] | None = None
        self._closed = False

    async def open(self) -> None:
        for address in self._seeds:
            self._server(address)
        if not await self._ask_anew():
            raise StoreUnavailable("no server of the cluster says who has which slots")

    # ------------------------------------------------------------------------------------------------ commands

    async def exchange(self, commands: Sequence[Command], barrier: Barrier | None = None) -> list[Any]:
        groups: dict[Server | None, list[int]] = {}
        owners = self._owners
        for i, command in enumerate(commands):
            groups.setdefault(owners[slot_of(key_of(command))], []).append(i)
        if len(groups) == 1:
            return await self._exchange_with(next(iter(groups)), commands, barrier)
        replies: list[Any] = [None] * len(commands)
        parts = [self._exchange_with(server, [commands[i] for i in at], barrier) for server, at in groups.items()]
        for at, found in zip(groups.values(), await asyncio.gather(*parts), strict=True):
            for i, reply in zip(at, found, strict=True):
                replies[i] = reply
        return replies

    async def _exchange_with(
        self, server: Server | None, commands: Sequence[Command], barrier: Barrier | None
    ) -> list[Any]:
        if server is None:
            return [redis_errors.ClusterDownError("CLUSTERDOWN nobody has the slot")] * len(commands)
        replies = await server.exchange(commands, barrier)
        for i, reply in enumerate(replies):
            if isinstance(reply, redis_errors.AskError):
                replies[i] = await self._redirected(commands[i], reply, barrier)
        return replies

    async def _redirected(self, command: Command, where: Any, barrier: Barrier | None) -> Any:
        """MOVED is taken note of, for whoever sends it again; ASK is for this one command, and followed at once."""
        server = self._server((where.host, int(where.port)))
        if isinstance(where, redis_errors.MovedError):
            self._owners[int(where.slot_id)] = server
            self.version += 1
            self.renew_soon()
            return where
        # The slot is on its way there: each command for it must be announced, the barrier's mark, too.
        if barrier is None:
            return (await server.exchange([_ASKING, command]))[1]
        *_, mark, wait = barrier.after([command])
        _, reply, _, marked, answer = await server.exchange([_ASKING, command, _ASKING, mark, wait])
        return barrier.judged([reply, marked, answer])[0]

    # ------------------------------------------------------------------------------------------------ who has what

    def owner(self, key: str | bytes) -> Server | None:
        return self._owners[slot_of(key)]

    def shards(self) -> list[Shard]:
        return self._shards

    def missing(self) -> str:
        count = self._owners.count(None)
        return f"{count} of {SLOTS} slots have no primary" if count else ""

    def lane(self, tag: str) -> int:
        return lane_of(tag)

    def goes_elsewhere(self, error: Exception) -> bool:
        return isinstance(error, ELSEWHERE)

    async def renew(self) -> None:
        self.renew_soon()
        if self._renewing is not None:
            await asyncio.wait([self._renewing], timeout=RENEW_WAIT_S)

    def renew_soon(self) -> None:
        if self._renewing is None and not self._closed:
            self._renewing = asyncio.create_task(self._ask_anew(), name="cluster map")
            self._renewing.add_done_callback(self._renewed)

    def _renewed(self, done: asyncio.Task[bool]) -> None:
        self._renewing = None
        if not done.cancelled() and (problem := done.exception()) is not None:
            logger.error("the map of the cluster cannot be read: %s", type(problem).__name__)

    async def _ask_anew(self) -> bool:
        """Ask who has which slots; False: nobody says."""
        members = [self._server(address) for address in self._members]
        random.shuffle(members)
        answers = await ask_some([member.pool for member in members], _ASKED)
        maps = [(_epoch(info), _ranges(table, pool)) for pool, (table, info) in answers]
        maps = [each for each in maps if each[1]]
        if not maps:
            return False
        _, ranges = max(maps, key=lambda each: each[0])
        await self._take(ranges)
        return True

    async def _take(self, ranges: Sequence[tuple[int, int, list[Address]]]) -> None:
        """Believe a map: first slot, last slot, and who has them, the primary first."""
        owners: list[Server | None] = [None] * SLOTS
        for low, high, (primary, *_) in ranges:
            owners[low : high + 1] = [self._server(primary)] * (high + 1 - low)
        self._members = {address for _, _, addresses in ranges for address in addresses} | set(self._seeds)
        if owners != self._owners:
            self._owners = owners
            self.version += 1
            self._shards = _shards(owners)
            logger.info("cluster: %s shards, %s", len(self._shards), self.missing() or "all slots covered")
        primaries = {id(shard.server) for shard in self._shards}
        for address, server in list(self._servers.items()):
            if id(server) not in primaries:
                # Whoever still waits for one that has no slots any more need not: it hangs, or refuses.
                await server.drop(busy=True)
                if address not in self._members:
                    del self._servers[address]

    def _server(self, address: Address) -> Server:
        known = self._servers.get(address)
        if known is None:
            host, port = address
            pool = make_pool({**self._login, "host": host, "port": port}, replaced=True)
            known = self._servers[address] = Server(f"{host}:{port}", pool, lost=self.renew_soon)
        return known

    async def aclose(self) -> None:
        self._closed = True
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        for server in self._servers.values():
            await server.aclose()


def _shards(owners: Sequence[Server | None]) -> list[Shard]:
    """Each server once, with a hash tag that falls into one of its slots."""
    wanted = {id(server) for server in owners if server is not None}
    found: dict[int, Shard] = {}
    for n in itertools.count():
        if len(found) == len(wanted):
            return list(found.values())
        server = owners[slot_of(str(n))]
        if server is not None:
            found.setdefault(id(server), Shard(server, str(n)))
    raise AssertionError("a counter does not end")


def _epoch(info: bytes) -> int:
    for line in info.splitlines():
        name, _, value = line.partition(b":")
        if name == b"cluster_current_epoch":
            return int(value)
    return 0


def _ranges(table: Sequence[Any], pool: Any) -> list[tuple[int, int, list[Address]]]:
    """CLUSTER SLOTS: [[low, high, [host, port, …], …], …]. A host that is not told is the one who answers."""
    own = str(pool.connection_kwargs["host"])
    return [
        (low, high, [((each[0] or b"").decode().strip("?") or own, int(each[1])) for each in members])
        for low, high, *members in table
    ]
