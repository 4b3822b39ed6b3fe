"""Lua scripts as values, and the wire that runs them: one at a time, or many in one pipeline.

A script's text is its own file in `lua/`, after the files it shares functions with. Scripts are called by digest;
a server that does not know one (restarted, flushed) is sent the text, for that call alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

import msgspec
from redis import exceptions as redis_errors
from tenacity import AsyncRetrying, retry_if_result, stop_after_delay, wait_random_exponential

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.store.exchange import Barrier
from pushpull.store.refusals import LOST, reason_of, unavailable
from pushpull.store.servers import Servers
from pushpull.store.watch import Nobody, Watch

RETRY_WAIT_S: Final = 0.05  # at most, before the first retry
RETRY_WAIT_MAX_S: Final = 0.5

Arg = str | bytes | int | float
Reply = Any
"""What Redis answers: int, bytes, None, or a list of these."""


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script, ready to be called by `sha`."""

    name: str
    text: str = field(repr=False)
    sha: str = field(repr=False)

    @classmethod
    def load(cls, name: str, *shared: str) -> Script:
        """Read `lua/<name>.lua`, with the functions of each `lua/<shared>.lua` before it."""
        folder = resources.files("pushpull.store") / "lua"
        text = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in (*shared, name))
        # SHA-1 is how Redis names a script; nothing rests on it being hard to forge.
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


APPEND: Final = Script.load("append", "basics", "bell", "entry", "past", "take_out")
SIGNAL: Final = Script.load("signal")
READ: Final = Script.load("read", "basics", "state", "place", "page")
READ_BEFORE: Final = Script.load("read_before", "basics", "state", "page")
HEAD: Final = Script.load("head", "state")
LOG_SPAN: Final = Script.load("log_span")
ROWS: Final = Script.load("rows", "basics", "state", "place")
FLUSH: Final = Script.load("flush", "basics")
CURSORS: Final = Script.load("cursors")
PUT: Final = Script.load("put", "basics", "bell")
DELETE: Final = Script.load("delete", "basics", "bell")
MOVE_EPOCH: Final = Script.load("move_epoch", "basics", "bell")
SWEEP: Final = Script.load("sweep", "basics", "bell")
ADD_MEMBERS: Final = Script.load("add_members", "bell")
REMOVE_MEMBERS: Final = Script.load("remove_members", "basics", "bell", "past")
MEMBERS_PAGE: Final = Script.load("members_page", "rank")
BEHIND: Final = Script.load("behind", "rank")
OPEN_SESSION: Final = Script.load("open_session", "devices")
CLOSE_SESSION: Final = Script.load("close_session", "devices")
BEAT: Final = Script.load("beat", "basics")
ANNOUNCE: Final = Script.load("announce")
NODES: Final = Script.load("nodes", "basics")


class Call(msgspec.Struct, frozen=True):
    """A script with its keys (all in one hash tag) and arguments."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Arg] = ()

    def by_sha(self) -> tuple[Arg, ...]:
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def by_text(self) -> tuple[Arg, ...]:
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)


class Wire:
    """Sends scripts and commands to Redis. Raises StoreUnavailable and nothing else.

    What was lost on the way is sent again where it may run twice, what another server must take is sent there; both
    for `servers.retry_for_s`, about as long as a sender is willing to wait.
    """

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._closed = False
        self.watch: Watch = Nobody()

    def close(self) -> None:
        """From now on every call raises StoreUnavailable: one that is tried again would open a connection anew."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    @property
    def layout(self) -> int:
        """Another number when keys have gone to another server."""
        return self._servers.version

    def lane(self, tag: str) -> int:
        """Which lane what has this hash tag goes in; see Servers.lane."""
        return self._servers.lane(tag)

    async def run(self, call: Call, *, again: bool = False) -> Reply:
        """Run one script and return its reply; `again`: it may run twice, so a lost connection is ridden through."""
        reply = (await self.run_many([call], again=again))[0]
        if isinstance(reply, PushpullError):
            raise reply
        return reply

    async def run_many(
        self, calls: Sequence[Call], *, again: bool = False, barrier: Barrier | None = None
    ) -> list[Reply]:
        """Run scripts, those of one server in one pipeline; replies in the order of `calls`.

        One that Redis refused, that did not get there, or that `barrier` does not confirm, is a PushpullError in its
        place; the others stand.
        """
        if not calls:
            return []

        async def attempt(places: Sequence[int]) -> list[Reply]:
            return await self._run([calls[i] for i in places], barrier)

        replies = await self._settle(len(calls), attempt, again=again)
        return [
            self._given_up(reply, call.script.name) if isinstance(reply, Exception) else reply
            for call, reply in zip(calls, replies, strict=True)
        ]

    async def _run(self, calls: Sequence[Call], barrier: Barrier | None) -> list[Reply]:
        replies = await self._servers.exchange([call.by_sha() for call in calls], barrier)
        for all_by_text in (False, True):
            unknown = [i for i, reply in enumerate(replies) if isinstance(reply, redis_errors.NoScriptError)]
            if not unknown:
                break
            again_now = _taught([calls[i] for i in unknown], all_by_text=all_by_text)
            for i, reply in zip(unknown, await self._servers.exchange(again_now, barrier), strict=True):
                replies[i] = reply
        return replies

    async def command(self, *command: Arg, again: bool = False) -> Reply:
        """Send one plain command whose second word is a key; the reply as Redis gives it."""
        return (await self.commands([command], again=again))[0]

    async def commands(self, commands: Sequence[tuple[Arg, ...]], *, again: bool = False) -> list[Reply]:
        """Send plain commands, those of one server in one pipeline; StoreUnavailable if any of them failed."""
        if not commands:
            return []

        async def attempt(places: Sequence[int]) -> list[Reply]:
            return await self._servers.exchange([commands[i] for i in places])

        replies = await self._settle(len(commands), attempt, again=again)
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, Exception):
                raise self._given_up(reply, str(command[0]))
        return replies

    async def everywhere(self, *command: Arg) -> list[Reply]:
        """Send one command to each primary; a reply for each. StoreUnavailable if one of them failed."""
        self._require_open()
        shards = self._servers.shards()
        found = await asyncio.gather(*(shard.server.exchange([command]) for shard in shards))
        for (reply,) in found:
            if isinstance(reply, Exception):
                raise self._given_up(reply, str(command[0]))
        return [reply for (reply,) in found]

    async def keys_like(self, pattern: str, *, chunk: int) -> AsyncIterator[list[bytes]]:
        """All keys that match, about `chunk` of them at a time, of one primary after the other; some may come twice."""
        for shard in self._servers.shards():
            cursor = 0
            while True:
                self._require_open()
                (found,) = await shard.server.exchange([("SCAN", cursor, "MATCH", pattern, "COUNT", chunk)])
                if isinstance(found, Exception):
                    raise self._given_up(found, "SCAN")
                cursor, keys = int(found[0]), found[1]
                yield keys
                if cursor == 0:
                    break

    async def _settle(
        self, count: int, attempt: Callable[[Sequence[int]], Awaitable[list[Reply]]], *, again: bool
    ) -> list[Reply]:
        """The replies to `count` calls, of which `attempt` makes those in the places it is given."""
        began = time.monotonic()
        self._require_open()
        replies = await attempt(range(count))  # by itself: tenacity costs 20 µs, as much as the rest of a small call
        self.watch.exchanged(time.monotonic() - began, count)
        if not (unsettled := self._unsettled(replies, again=again)):
            return replies

        async def retry() -> bool:
            nonlocal unsettled
            await self._servers.renew()
            self._require_open()
            self.watch.tried_again(len(unsettled))
            for i, reply in zip(unsettled, await attempt(unsettled), strict=True):
                replies[i] = reply
            unsettled = self._unsettled(replies, again=again)
            return bool(unsettled)

        await asyncio.sleep(random.uniform(0, RETRY_WAIT_S))
        await AsyncRetrying(
            stop=stop_after_delay(max(0.0, self._servers.retry_for_s - (time.monotonic() - began))),
            wait=wait_random_exponential(multiplier=RETRY_WAIT_S, max=RETRY_WAIT_MAX_S),
            retry=retry_if_result(bool),
            retry_error_callback=lambda state: None,  # what is not settled by then says so in its place
        )(retry)
        return replies

    def _given_up(self, problem: Exception, what: str) -> StoreUnavailable:
        self.watch.failed(reason_of(problem))
        return unavailable(problem, what)

    def _unsettled(self, replies: Sequence[Reply], *, again: bool) -> list[int]:
        """The places of what is worth another try."""
        return [i for i, reply in enumerate(replies) if isinstance(reply, Exception) and self._may_retry(reply, again)]

    def _may_retry(self, problem: Exception, again: bool) -> bool:
        return (again and isinstance(problem, LOST)) or self._servers.goes_elsewhere(problem)


def _taught(calls: Sequence[Call], *, all_by_text: bool) -> list[tuple[Arg, ...]]:
    """The calls as commands that bring the text along: the first of each script, or all where that taught others."""
    commands, known = [], set()
    for call in calls:
        commands.append(call.by_sha() if call.script.sha in known and not all_by_text else call.by_text())
        known.add(call.script.sha)
    return commands
