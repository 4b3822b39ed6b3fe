"""Lua scripts as values, and the wire that runs them: one at a time, or many in one pipeline.

A script's text is its own file in `lua/`, after the files it shares functions with. Scripts are called by digest;
a server that does not know one (restarted, flushed) is sent the text, for that call alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any, Final

from redis import exceptions as redis_errors
from redis.asyncio import Redis

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.store.connection import exchange, guarded, unavailable

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


APPEND: Final = Script.load("append", "basics", "bell")
READ: Final = Script.load("read", "basics", "place", "page")
READ_BEFORE: Final = Script.load("read_before", "basics", "page")
HEAD: Final = Script.load("head")
ROWS: Final = Script.load("rows", "basics", "place")
FLUSH: Final = Script.load("flush", "basics")
CURSORS: Final = Script.load("cursors")
PUT: Final = Script.load("put", "basics", "bell")
DELETE: Final = Script.load("delete", "bell")
MOVE_EPOCH: Final = Script.load("move_epoch", "basics", "bell")
SWEEP: Final = Script.load("sweep", "basics", "bell")
ADD_MEMBERS: Final = Script.load("add_members", "bell")
REMOVE_MEMBERS: Final = Script.load("remove_members", "bell")
MEMBERS_PAGE: Final = Script.load("members_page", "rank")
BEHIND: Final = Script.load("behind", "rank")
OPEN_SESSION: Final = Script.load("open_session")
BEAT: Final = Script.load("beat", "basics")
ANNOUNCE: Final = Script.load("announce")
NODES: Final = Script.load("nodes", "basics")


@dataclass(frozen=True, slots=True)
class Call:
    """A script with its keys (all in one hash tag) and arguments."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Arg] = ()

    def by_sha(self) -> tuple[Arg, ...]:
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.args)

    def by_text(self) -> tuple[Arg, ...]:
        return ("EVAL", self.script.text, len(self.keys), *self.keys, *self.args)


class Wire:
    """Sends scripts and commands to Redis. Raises StoreUnavailable and nothing else."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client  # its execute_command has no types
        self._closed = False

    def close(self) -> None:
        """From now on every call raises StoreUnavailable: one that is tried again would open a connection anew."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed")

    async def run(self, call: Call, *, again: bool = False) -> Reply:
        """Run one script and return its reply; `again`: it may run twice, so a lost connection is ridden through."""
        reply = (await self.run_many([call], again=again))[0]
        if isinstance(reply, PushpullError):
            raise reply
        return reply

    async def run_many(self, calls: Sequence[Call], *, again: bool = False) -> list[Reply]:
        """Run scripts in one pipeline; replies in the order of `calls`. One that Redis refuses is a PushpullError in
        its place; when Redis is away, StoreUnavailable is raised for all."""
        if not calls:
            return []

        async def attempt() -> list[Reply]:
            self._require_open()
            replies = await exchange(self._client, [call.by_sha() for call in calls])
            for all_by_text in (False, True):
                unknown = [i for i, reply in enumerate(replies) if isinstance(reply, redis_errors.NoScriptError)]
                if not unknown:
                    break
                again_now = _taught([calls[i] for i in unknown], all_by_text=all_by_text)
                for i, reply in zip(unknown, await exchange(self._client, again_now), strict=True):
                    replies[i] = reply
            return replies

        replies = await guarded(calls[0].script.name, attempt, again=again)
        return [
            unavailable(reply, call.script.name) if isinstance(reply, Exception) else reply
            for call, reply in zip(calls, replies, strict=True)
        ]

    async def command(self, *command: Arg, again: bool = False) -> Reply:
        """Send one plain command."""

        async def attempt() -> Reply:
            self._require_open()
            return await self._client.execute_command(*command)

        return await guarded(str(command[0]), attempt, again=again)

    async def commands(self, commands: Sequence[tuple[Arg, ...]], *, again: bool = False) -> list[Reply]:
        """Send plain commands in one pipeline; StoreUnavailable if any of them failed. Replies as Redis gives them."""
        if not commands:
            return []

        async def attempt() -> list[Reply]:
            self._require_open()
            replies = await exchange(self._client, commands)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
            return replies

        return await guarded(str(commands[0][0]), attempt, again=again)


def _taught(calls: Sequence[Call], *, all_by_text: bool) -> list[tuple[Arg, ...]]:
    """The calls as commands that bring the text along: the first of each script, or all where that taught others."""
    commands, known = [], set()
    for call in calls:
        commands.append(call.by_sha() if call.script.sha in known and not all_by_text else call.by_text())
        known.add(call.script.sha)
    return commands
