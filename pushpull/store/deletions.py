"""Users who are being deleted: who works on it, how far it has come, what is still to do.

A user that is to be deleted stands in one sorted set under the moment from which anybody may take it: at once, or when
the lease of the node that works on it has ended. What is said of it is kept beside the user's own keys, and so are the
conversations it has still to come to: a node that dies leaves nothing that the next one does not find.

Bounded: MOST_ASKED users at a time; what is said of one that has ended is kept for KEPT_S.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pushpull.errors import LimitReached
from pushpull.model import Cid, Uid
from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg, Call, Script, Wire

Messages = Literal["keep", "redact"]
State = Literal["none", "waiting", "running", "done", "failed"]

MOST_ASKED: Final = 10_000
KEPT_S: Final = 7 * 86_400
LEASE_S: Final = 10.0
"""A node that says nothing for so long has ended, or is as good as that."""
CHUNK: Final = 1000

_ASK: Final = Script.load("ask_deletion", "basics")
_TAKE: Final = Script.load("take_deletion", "basics")
_KEEP: Final = Script.load("keep_deletion", "basics")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """How a user's deletion stands. Times are ms since 1970; None: not yet."""

    user: Uid
    state: State
    messages: Messages | None = None  # None where there is no deletion
    total: int | None = None  # conversations; None: still being looked for
    left: int = 0
    redacted: int = 0  # entries of logs that went, edits and reactions among them
    asked_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None
    error: str | None = None  # why it does not get on, or has failed
    tries: int = 0  # that failed, in a row


@dataclass(frozen=True, slots=True)
class Lease:
    """A deletion in a worker's hands until `until`, ms by Redis' clock. No two leases of a user end at one time."""

    user: Uid
    until: int


class Deletions:
    """Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys, *, lease_s: float = LEASE_S) -> None:
        self._wire = wire
        self._keys = keys
        self._lease_ms = int(lease_s * 1000)

    async def ask(self, uid: Uid, messages: Messages) -> Deletion:
        """Ask for the deletion of `uid`. One that has not ended stays as it is; one that has begins anew.

        Raises LimitReached where too many are asked for already.
        """
        keys = self._keys
        waiting = await self.count()
        if waiting >= MOST_ASKED:
            raise LimitReached(f"{waiting} users are being deleted: the limit is {MOST_ASKED}")
        begins = await self._wire.run(Call(_ASK, [keys.deletion(uid), keys.deleting(uid)], [messages]), again=True)
        # After what is said of it: whoever takes it finds that. A call that got no further than there is made again.
        # Where it begins anew, the lease of who has just ended the one before is of no use any more.
        unless_there = () if begins else ("NX",)
        await self._wire.command("ZADD", keys.deletions(), *unless_there, 0, uid, again=True)
        return await self.get(uid)

    async def count(self) -> int:
        """Users whose deletion has not ended."""
        return int(await self._wire.command("ZCARD", self._keys.deletions(), again=True))

    async def get(self, uid: Uid) -> Deletion:
        """How it stands; state "none": nobody asked for one, or it has ended long ago."""
        flat, left = await self._wire.commands(
            [("HGETALL", self._keys.deletion(uid)), ("ZCARD", self._keys.deleting(uid))], again=True
        )
        said = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
        return _deletion(uid, said, int(left))

    async def take(self) -> Lease | None:
        """One that nobody works on; None: there is none."""
        # Not again: what a lost call took is taken when its lease has ended.
        reply = await self._wire.run(Call(_TAKE, [self._keys.deletions()], [self._lease_ms]))
        return None if reply is None else Lease(Uid(reply[0].decode()), int(reply[1]))

    async def keep(self, lease: Lease, *, for_s: float | None = None) -> Lease | None:
        """Have it for longer; with `for_s` nobody is to take it for so long. None: another has it by now."""
        for_ms = self._lease_ms if for_s is None else int(for_s * 1000)
        return await self._keep(lease, for_ms)

    async def end(self, lease: Lease) -> None:
        """Nobody is to take it any more."""
        await self._keep(lease, "")

    async def _keep(self, lease: Lease, for_ms: int | str) -> Lease | None:
        call = Call(_KEEP, [self._keys.deletions()], [lease.user, lease.until, for_ms])
        reply = await self._wire.run(call)
        return None if reply is None else Lease(lease.user, int(reply))

    async def note(self, uid: Uid, **said: Arg) -> None:
        """Say something of it: `state`, `total`, `error` …; an empty value takes back what was said."""
        kept = [part for name, value in said.items() if value != "" for part in (name, value)]
        dropped = [name for name, value in said.items() if value == ""]
        key = self._keys.deletion(uid)
        commands: list[tuple[Arg, ...]] = [("HSET", key, *kept)] if kept else []
        await self._wire.commands(commands + ([("HDEL", key, *dropped)] if dropped else []), again=True)

    async def find(self, uid: Uid, cids: Sequence[Cid]) -> None:
        """These conversations are to be come to, too."""
        if cids:
            rows: list[Arg] = [part for cid in cids for part in (0, cid)]
            await self._wire.command("ZADD", self._keys.deleting(uid), *rows, again=True)

    async def found(self, uid: Uid) -> int:
        """How many are to be come to."""
        return int(await self._wire.command("ZCARD", self._keys.deleting(uid), again=True))

    async def next(self, uid: Uid) -> Cid | None:
        """One of those still to be come to; None: there is none."""
        found = await self._wire.command("ZRANGE", self._keys.deleting(uid), 0, 0, again=True)
        return Cid(found[0].decode()) if found else None

    async def done(self, uid: Uid, cid: Cid) -> None:
        """One less to come to."""
        await self._wire.command("ZREM", self._keys.deleting(uid), cid, again=True)

    async def redacted(self, uid: Uid, entries: int) -> None:
        """So many more went."""
        await self._wire.command("HINCRBY", self._keys.deletion(uid), "redacted", entries)

    async def forget(self, uid: Uid) -> None:
        """Remove what is kept of the user by itself, but for what is said of its deletion and its revoked tokens."""
        keys = self._keys
        names = (keys.conversations, keys.sessions, keys.ended, keys.devices, keys.deleting)
        await self._wire.commands([("UNLINK", name(uid)) for name in names], again=True)

    async def finish(self, uid: Uid, state: State, *, error: str = "") -> None:
        """It has ended; what is said of it is kept for a while."""
        await self.note(uid, state=state, ended=int(time.time() * 1000), error=error, tries="")
        await self._wire.command("EXPIRE", self._keys.deletion(uid), KEPT_S, again=True)


def _deletion(uid: Uid, said: dict[str, str], left: int) -> Deletion:
    def number(name: str) -> int | None:
        return int(said[name]) if name in said else None

    if "state" not in said:
        return Deletion(user=uid, state="none")
    return Deletion(
        user=uid,
        state=said["state"],  # type: ignore[arg-type]
        messages=said["messages"],  # type: ignore[arg-type]
        total=number("total"),
        left=left,
        redacted=number("redacted") or 0,
        asked_ms=number("asked"),
        started_ms=number("started"),
        ended_ms=number("ended"),
        error=said.get("error"),
        tries=number("tries") or 0,
    )
