"""A conversation on its way in, kept apart under keys of its own until all of it is here.

Nobody sees any of it before: without `meta` there is no conversation. Then one script makes it, by renaming. Every
step may be taken twice: what is there already is compared, so an import that was interrupted is sent again.

Bounded: what no step was added to for KEPT_S expires.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pushpull.errors import Invalid, LimitReached, NoSuchConversation, PushpullError, StoreUnavailable
from pushpull.model import TAG_DIGEST_BITS, Cid, LogId, MovedMember, MovedMessage, Uid
from pushpull.store import codec
from pushpull.store.control import announce
from pushpull.store.conversations import SCHEMA_VERSION
from pushpull.store.exchange import Barrier
from pushpull.store.keys import Keys
from pushpull.store.members import CHUNK, slices
from pushpull.store.scripts import Arg, Call, Script, Wire
from pushpull.store.values import Announcement

KEPT_S: Final = 86_400

_LOG_PARTS: Final = ("log", "quiet", "mentions", "redacted", "edits", "past")
_MEMBER_PARTS: Final = ("members", "roles", "delivered", "read", "prefs")

_BEGIN: Final = Script.load("import_begin", "basics")
_MESSAGES: Final = Script.load("import_messages", "basics", "entry", "past")
_MEMBERS: Final = Script.load("import_members", "basics")
_COMMIT: Final = Script.load("import_commit", "basics", "bell")

_WRONG_REFS: Final = {
    "stands": "a redaction of a message that stands in the file: expected a line of type 'redacted' in its place",
    "missing": "an edit of a message that is not in the file",
    "sender": "an edit by another than the sender of what it edits",
    "kind": "an edit of an edit, a reaction or a redaction",
}


class Refused(Exception):
    """One of the lines given cannot be stored; those before it are. `at`: which one it is, from 0."""

    def __init__(self, at: int, error: PushpullError) -> None:
        super().__init__(error.message)
        self.at = at
        self.error = error


@dataclass(frozen=True, slots=True)
class Import:
    """An import under way, of one file into `cid`."""

    cid: Cid
    file: str  # what names it among the files for `cid`
    number: int  # 0: it is over, the conversation was made of this file


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What a file came to: the conversation that is made of it."""

    sha256: str
    seq: int  # of the last line that was stored
    members: int
    last: LogId | None  # None: the id of that line
    last_ms: int
    floor: int
    count: int
    settings: Mapping[str, Any]


class Imports:
    """Of all conversations. Raises StoreUnavailable."""

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        *,
        window_ms: int,
        most_conversations: int,
        barrier: Barrier | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`window_ms`: how long cmids are known; `barrier`: what must be confirmed before an import counts as made."""
        self._wire = wire
        self._keys = keys
        self._window_ms = window_ms
        self._most_conversations = most_conversations
        self._barrier = barrier
        self._clock = clock

    async def begin(self, cid: Cid, file: str, *, floor: int) -> Import:
        """Begin to import `file` into `cid`, or go on with it.

        Raises Invalid where `cid` exists, and was not made of this file, or another file is on its way into it.
        """
        names = [self._keys.meta(cid), self._keys.importing(cid)]
        reply = await self._wire.run(Call(_BEGIN, names, [file, floor - 1, KEPT_S * 1000]), again=True)
        if reply[0] == b"begun":
            return Import(cid, file, int(reply[1]))
        if reply[0] == b"other":
            raise Invalid(f"another file is on its way into {cid}: send that again, or give its import up first")
        if reply[1].decode().partition(" ")[0] != file:
            raise _exists(cid)
        return Import(cid, file, 0)

    async def add_messages(self, under_way: Import, lines: Sequence[MovedMessage], *, before: int, floor: int) -> int:
        """Add lines, ascending, after the one of seq `before`; how many are new. One script, so give it few hundred.

        Raises Refused; StoreUnavailable also where what was stored before is lost: send the file again.
        """
        if not lines:
            return 0
        buckets: dict[int, int] = {}
        args: list[Arg] = [under_way.number, before, floor, KEPT_S * 1000]
        known_from = self._bucket_now() - 2  # as in _buckets_looked_into
        for line in lines:
            args += self._message_args(line, buckets, known_from)
        parts = [*_LOG_PARTS, *(f"cmid:{bucket}" for bucket in buckets)]
        call = Call(_MESSAGES, self._names(under_way, parts), args)
        return _taken(under_way, await self._wire.run(call, again=True))

    def _message_args(self, line: MovedMessage, buckets: dict[int, int], known_from: int) -> tuple[Arg, ...]:
        """What the script gets of a line; `buckets`: of cmids → which of its keys, added to as they come up."""
        draft = line.draft
        if draft is None:
            log_id = line.id or f"{line.seq}-{line.ms << TAG_DIGEST_BITS}"
            return (log_id, "", "", "", "", "", int(line.quiet), "", "", "", "")
        bucket, remember = line.ms // self._window_ms, ""
        if bucket >= known_from:
            place = buckets.setdefault(bucket, len(_LOG_PARTS) + 2 + len(buckets))
            remember = f"{codec.digest(draft)} {place}"
        return (
            line.id or f"{line.seq}-{(line.ms << TAG_DIGEST_BITS) + codec.tag_digest(draft)}",
            1,
            draft.sender or "",
            draft.cmid,
            draft.kind,
            draft.body,
            int(draft.quiet),
            codec.mention_field(draft),
            codec.mention_index(draft),
            "" if draft.ref is None else draft.ref,
            remember,
        )

    async def add_members(self, under_way: Import, members: Sequence[MovedMember], *, before: int) -> int:
        """Add members, of which the file had `before` already; how many are new. Raises as `add_messages` does."""
        if not members:
            return 0
        args: list[Arg] = [under_way.number, before, KEPT_S * 1000]
        for each in members:
            args += (each.uid, each.role.value, each.joined, each.delivered, each.read, codec.prefs_field(each.prefs))
        call = Call(_MEMBERS, self._names(under_way, (*_MEMBER_PARTS, "past")), args)
        return _taken(under_way, await self._wire.run(call, again=True))

    async def finish(self, under_way: Import, whole: Whole) -> bool:
        """Make the conversation, enter it into its members' lists, tell the nodes. False: it was made before.

        Raises LimitReached before anything is made, Invalid where `cid` exists by now or was made of other content.
        """
        cid = under_way.cid
        await self._enter_lists(cid, await self._users(self._keys.imported(cid, under_way.number, "members")))
        kept, _ = codec.setting_fields(whole.settings)
        args: list[Arg] = [under_way.number, f"{under_way.file} {whole.sha256}", whole.seq, whole.members]
        args += [whole.last or "", whole.floor, whole.count, SCHEMA_VERSION, 2 * self._window_ms]
        args += (part for pair in kept.items() for part in pair)
        call = Call(_COMMIT, self._commit_keys(under_way, whole.last_ms), args)
        (reply,) = await self._wire.run_many([call], again=True, barrier=self._barrier)
        if isinstance(reply, PushpullError):
            raise reply
        if codec.is_error(reply):
            raise _exists(cid) if reply[1] == b"exists" else _lost(under_way)
        members = await self._users(self._keys.members(cid))
        # Once more, as after adding members: whoever read a list in between found the hint too early, and dropped it.
        await self._enter_lists(cid, members)
        await announce(self._wire, self._keys, [Announcement(kind="joined", cid=cid, users=tuple(members))])
        return bool(reply == b"made")

    def _commit_keys(self, under_way: Import, last_ms: int) -> list[str]:
        keys, cid = self._keys, under_way.cid
        names = [keys.meta(cid), keys.bell(cid), keys.importing(cid), keys.deleted(cid)]
        for part in (*_LOG_PARTS, *_MEMBER_PARTS):
            names += (keys.imported(cid, under_way.number, part), getattr(keys, part)(cid))
        for bucket in self._buckets_looked_into(last_ms):
            names += (keys.imported(cid, under_way.number, f"cmid:{bucket}"), keys.cmids(cid, bucket))
        return names

    def _names(self, under_way: Import, parts: Sequence[str]) -> list[str]:
        cid = under_way.cid
        apart = [self._keys.imported(cid, under_way.number, part) for part in parts]
        return [self._keys.importing(cid), *apart]

    def _buckets_looked_into(self, last_ms: int) -> list[int]:
        """The buckets of cmids that an append may look into from now on, our clock being a window off at most.

        That of its own time and the one before; a log that is ahead of the clock has its own time.
        """
        now, last = self._bucket_now(), last_ms // self._window_ms
        return sorted({now - 2, now - 1, now, now + 1, last - 1, last})

    def _bucket_now(self) -> int:
        return int(self._clock() * 1000) // self._window_ms

    async def _users(self, members: str) -> list[Uid]:
        """Everybody in a sorted set of members: as many as `limits.members` allows."""
        names: list[Uid] = []
        while chunk := await self._wire.command("ZRANGE", members, len(names), len(names) + CHUNK - 1, again=True):
            names += (Uid(name.decode()) for name in chunk)
        return names

    async def _enter_lists(self, cid: Cid, users: Sequence[Uid]) -> None:
        for chunk in slices(users, CHUNK):
            await self._check_room(cid, chunk)
        for chunk in slices(users, CHUNK):
            await self._wire.commands([("ZADD", self._keys.conversations(uid), 0, cid) for uid in chunk], again=True)

    async def _check_room(self, cid: Cid, users: Sequence[Uid]) -> None:
        most, lists = self._most_conversations, [self._keys.conversations(uid) for uid in users]
        counts = await self._wire.commands([("ZCARD", each) for each in lists], again=True)
        full = [i for i, count in enumerate(counts) if count >= most]
        entered = await self._wire.commands([("ZSCORE", lists[i], cid) for i in full], again=True)
        for i, known in zip(full, entered, strict=True):
            if known is None:
                raise LimitReached(f"user {users[i]} is in {most} conversations, which is the limit")

    async def give_up(self, cid: Cid) -> None:
        """Forget what was stored of an import. Raises NoSuchConversation where none is on its way."""
        number = await self._wire.command("HGET", self._keys.importing(cid), "number", again=True)
        if number is None:
            raise NoSuchConversation(f"no import of {cid} is on its way")
        names = self._names(Import(cid, "", int(number)), (*_LOG_PARTS, *_MEMBER_PARTS))
        await self._wire.commands([("UNLINK", name) for name in names], again=True)


def _taken(under_way: Import, reply: Any) -> int:
    """How many were new, of a script that says so; or what it refused."""
    if len(reply) == 1:
        return int(reply[0])
    _, code, place, *detail = reply
    match code:
        case b"lost":
            raise _lost(under_way)
        case b"differs":
            error = Invalid("not what was stored of this import before: give that up to begin anew")
        case b"twice":
            error = Invalid("this member is named before")
        case _:
            error = Invalid(_WRONG_REFS[detail[0].decode()])
    raise Refused(int(place) - 1, error)


def _exists(cid: Cid) -> Invalid:
    return Invalid(f"conversation {cid} exists, and was not made of this file: an import makes a new one")


def _lost(under_way: Import) -> StoreUnavailable:
    return StoreUnavailable(f"what was stored of the import of {under_way.cid} is not all there: send it again")
