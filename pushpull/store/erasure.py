"""A user is taken out of conversations: found, forgotten, its messages redacted, the logs written anew.

Each step here is short for Redis, whatever the size of what it is a part of; who calls may rest between them, and may
begin any of them again.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from pushpull.errors import NoSuchConversation, StoreUnavailable
from pushpull.model import Cid, Uid, ts_of
from pushpull.store.control import announce
from pushpull.store.keys import Keys
from pushpull.store.members import Members
from pushpull.store.scripts import Call, Script, Wire
from pushpull.store.values import Announcement

LOOKED_AT: Final = 500
"""Conversations looked into together, two commands each."""
LOOKS: Final = 3
"""At all of them, where keys went to another server meanwhile and may have been passed over."""
TRIES: Final = 3
"""At a log that loses entries without a word, as none is meant to."""
SCANNED: Final = 1000
"""Fields of a hash or a sorted set in one call, some 0.3 ms of Redis."""
ENTRIES: Final = 128
BYTES: Final = 512 * 1024
"""Of a log in one call: one to two ms of Redis."""
COPY_EXPIRES_MS: Final = 600_000
"""A copy that nobody goes on with: its worker ended."""

BUCKETS: Final = range(-3, 3)
"""Idempotency buckets around a moment: those that live, and room for a clock."""

_FORGET: Final = Script.load("forget_user")
_UNMENTION: Final = Script.load("unmention")
_REDACT: Final = Script.load("redact_sender", "basics", "bell", "take_out")
_REWRITE: Final = Script.load("rewrite_log", "basics")


class Erasure:
    """Of one user at a time, out of any conversation. Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys, members: Members, *, window_ms: int) -> None:
        self._wire = wire
        self._keys = keys
        self._members = members
        self._window_ms = window_ms

    async def every(self) -> AsyncIterator[list[Cid]]:
        """All conversations, some at a time; some may come twice. StoreUnavailable where they move all the time."""
        for _ in range(LOOKS):
            layout = self._wire.layout
            async for metas in self._wire.keys_like(self._keys.every_meta(), chunk=LOOKED_AT):
                yield [self._keys.cid_of_meta(key.decode()) for key in metas]
            if layout == self._wire.layout:
                return
        raise StoreUnavailable("keys go from server to server: not all conversations were seen")

    async def naming(self, uid: Uid, cids: Sequence[Cid]) -> list[Cid]:
        """Those of `cids` that `uid` is a member of, was one of, or was named in."""
        asked = [("ZSCORE", key(cid), uid) for cid in cids for key in (self._keys.members, self._keys.past)]
        found = await self._wire.commands(asked, again=True)
        pairs = zip(cids, found[::2], found[1::2], strict=True)
        return [cid for cid, member, past in pairs if member is not None or past is not None]

    async def forget(self, cid: Cid, uid: Uid) -> AsyncIterator[None]:
        """Take the user out of all but the log of `cid`; yields after each step."""
        keys = self._keys
        last_id = await self._wire.command("HGET", keys.meta(cid), "last", again=True)
        try:
            await self._members.remove(cid, [uid])
        except NoSuchConversation:
            await self._members.forget_hints(cid, [uid])
        yield
        async for field in self._fields("HSCAN", keys.pending(cid), f"{uid} *"):
            if field:
                await self._wire.command("HDEL", keys.pending(cid), *field, again=True)
            yield
        for key in await self._cmids(cid, 0 if last_id is None else ts_of(last_id.decode())):
            async for field in self._fields("HSCAN", key, f"{uid}/*"):
                if field:
                    await self._wire.command("HDEL", key, *field, again=True)
                yield
        async for entry in self._fields("ZSCAN", keys.mentions(cid), f"*,{uid},*"):
            if entry:
                await self._wire.run(Call(_UNMENTION, [keys.mentions(cid)], [uid, *entry]), again=True)
            yield

    async def _cmids(self, cid: Cid, last_ms: int) -> list[str]:
        """The idempotency buckets there are."""
        keys = [self._keys.cmids(cid, bucket) for bucket in buckets_of(last_ms, self._window_ms)]
        there = await self._wire.commands([("EXISTS", key) for key in keys], again=True)
        return [key for key, is_there in zip(keys, there, strict=True) if is_there]

    async def forget_row(self, cid: Cid, uid: Uid) -> None:
        """Take the user out of what `forget` left: after it `naming` does not find it here any more."""
        keys = self._keys
        names = [keys.claim(cid), keys.past(cid), keys.members(cid), keys.delivered(cid), keys.read(cid)]
        names += [keys.told(cid), keys.roles(cid), keys.prefs(cid)]
        await self._wire.run(Call(_FORGET, names, [uid]), again=True)

    async def _fields(self, command: str, key: str, pattern: str) -> AsyncIterator[list[bytes]]:
        """What matches of a hash or a sorted set, as each look at some of it finds it; most find nothing."""
        cursor: int | bytes = 0
        while True:
            cursor, found = await self._wire.command(
                command, key, cursor, "MATCH", pattern, "COUNT", SCANNED, again=True
            )
            yield found[::2]
            if int(cursor) == 0:
                return

    async def redact(self, cid: Cid, uid: Uid) -> AsyncIterator[int]:
        """Redact what the user sent, as one by one; yields after each step how many entries went in it."""
        keys, at = self._keys, 1
        names = [keys.meta(cid), keys.log(cid), keys.quiet(cid), keys.mentions(cid)]
        names += [keys.redacted(cid), keys.edits(cid), keys.bell(cid)]
        while at:
            reply = await self._wire.run(Call(_REDACT, names, [uid, at, ENTRIES, BYTES]), again=True)
            if reply is None:
                return
            at, redacted = reply
            yield redacted

    async def rewrite(self, cid: Cid, uid: Uid, *, token: str) -> AsyncIterator[None]:
        """Write the log anew without the user's name and without what was deleted from it; yields after each step.

        `token`: the caller's own, so that two of them do not write into one copy. Nodes then let go of what they hold.
        """
        keys, again, reply = self._keys, 0, b""
        names = [keys.log(cid), keys.copy(cid, token), keys.meta(cid), keys.copied_edits(cid, token)]
        while reply != b"done":
            reply = await self._wire.run(Call(_REWRITE, names, [uid, ENTRIES, BYTES, COPY_EXPIRES_MS]), again=True)
            again += reply == b"again"
            if again > TRIES:
                raise StoreUnavailable(f"the log of {cid} loses entries all the time: it cannot be written anew")
            yield
        await announce(self._wire, self._keys, [Announcement(kind="rewritten", cid=cid)])


def buckets_of(last_ms: int, window_ms: int) -> list[int]:
    """The buckets there may be of a log whose last entry is of `last_ms`: a clock that jumped may be far from it."""
    around = [at_ms // window_ms for at_ms in (int(time.time() * 1000), last_ms)]
    return sorted({bucket + away for bucket in around for away in BUCKETS})
