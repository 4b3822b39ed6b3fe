"""Who is in a conversation. `members` is the truth; each user's own list of conversations is a hint.

The hint is written before a member is added and removed after one has left, so that it may name too much, never too
little; whoever reads it filters by `members`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Final, TypeVar

from pushpull.errors import Invalid, LimitReached, no_such_conversation, not_a_member
from pushpull.model import Cid, Role, Uid
from pushpull.store import codec
from pushpull.store.control import announce
from pushpull.store.keys import Keys
from pushpull.store.scripts import ADD_MEMBERS, MEMBERS_PAGE, REMOVE_MEMBERS, Arg, Call, Wire
from pushpull.store.values import Announcement, MemberCounts, MemberRow

CHUNK: Final = 2000
"""Members a script call takes: two arguments each, and Lua's unpack ends near 8,000."""

T = TypeVar("T")


def slices(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in pieces of at most `size`."""
    for at in range(0, len(items), size):
        yield items[at : at + size]


class Members:
    """Add, remove and look up members."""

    def __init__(self, wire: Wire, keys: Keys, *, most_members: int, most_conversations: int) -> None:
        self._wire = wire
        self._keys = keys
        self._most_members = most_members
        self._most_conversations = most_conversations

    async def add(self, cid: Cid, members: Sequence[tuple[Uid, Role]]) -> MemberCounts:
        """Add members at the head, or change the roles of those who are in; the last role named for a user counts.

        Limits are checked before anything is written. Raises NoSuchConversation, LimitReached naming who or what.
        """
        roles = dict(members)
        await self._require_conversation(cid)
        new = await self.check_room(cid, list(roles))
        await self._hint(cid, new)
        added, updated, total = 0, 0, 0
        for chunk in slices(list(roles.items()), CHUNK):
            total, changed, names = await self._add_chunk(cid, chunk)
            updated += changed
            added += len(names)
        # Once more: whoever read the list in between found a hint without a member, and dropped it. For all of them, as
        # is the announcement: where the answer to a call was lost, the same call again adds nobody.
        await self._hint(cid, list(roles))
        if not roles:
            total = await self._count(cid)
        await self._announce("joined", cid, list(roles))
        return MemberCounts(added=added, updated=updated, members=total)

    async def check_room(self, cid: Cid, uids: Sequence[Uid]) -> list[Uid]:
        """Return those of `uids` who are no members yet, if there is room for all of them; else LimitReached."""
        joined = await self._scores(cid, uids)
        new = [uid for uid, at in zip(uids, joined, strict=True) if at is None]
        total = await self._count(cid) + len(new)
        if new and total > self._most_members:
            raise LimitReached(f"{cid} would have {total} members: the limit is {self._most_members}")
        counts = await self._wire.commands([("ZCARD", self._keys.conversations(uid)) for uid in new], again=True)
        full = next((uid for uid, count in zip(new, counts, strict=True) if count >= self._most_conversations), None)
        if full is not None:
            raise LimitReached(f"user {full} is in {self._most_conversations} conversations, which is the limit")
        return new

    async def _count(self, cid: Cid) -> int:
        return int(await self._wire.command("ZCARD", self._keys.members(cid), again=True))

    async def are_all_among(self, cid: Cid, uids: Sequence[Uid]) -> bool:
        """Whether the conversation has no other members than these."""
        known = set(uids)
        count = await self._count(cid)
        if count > len(known):
            return False
        return sum(joined is not None for joined in await self._scores(cid, list(known))) == count

    async def _hint(self, cid: Cid, uids: Sequence[Uid]) -> None:
        await self._wire.commands([("ZADD", self._keys.conversations(uid), 0, cid) for uid in uids], again=True)

    async def _add_chunk(self, cid: Cid, chunk: Sequence[tuple[Uid, Role]]) -> tuple[int, int, list[bytes]]:
        keys = self._keys
        names = [
            keys.meta(cid),
            keys.members(cid),
            keys.roles(cid),
            keys.delivered(cid),
            keys.read(cid),
            keys.bell(cid),
        ]
        args: list[Arg] = [self._most_members, *(part for uid, role in chunk for part in (uid, str(role)))]
        reply = await self._wire.run(Call(ADD_MEMBERS, names, args))
        if not codec.is_error(reply):
            return reply[0], reply[1], reply[2]
        if reply[1] == b"limit_reached":
            raise LimitReached(f"{cid} has {reply[2]} members: the limit is {self._most_members}")
        raise no_such_conversation(cid)

    async def _announce(self, kind: str, cid: Cid, users: Sequence[Uid]) -> None:
        if users:
            await announce(self._wire, self._keys, [Announcement(kind=kind, cid=cid, users=tuple(users))])

    async def remove(self, cid: Cid, uids: Sequence[Uid]) -> MemberCounts:
        """Remove members with their cursors, roles, pending rows and preferences; unknown ones are passed over.

        Raises NoSuchConversation.
        """
        keys, wanted = self._keys, list(dict.fromkeys(uids))
        names = [keys.meta(cid), keys.members(cid), keys.roles(cid), keys.delivered(cid), keys.read(cid)]
        names += [keys.pending(cid), keys.bell(cid), keys.told(cid), keys.prefs(cid), keys.past(cid)]
        removed: list[Uid] = []
        total = 0 if wanted else await self._count(cid)
        for chunk in slices(wanted, CHUNK):
            reply = await self._wire.run(Call(REMOVE_MEMBERS, names, list(chunk)))
            if codec.is_error(reply):
                raise no_such_conversation(cid)
            total = reply[0]
            removed.extend(Uid(name.decode()) for name in reply[1])
        await self._announce("left", cid, removed)
        await self.forget_hints(cid, wanted)
        return MemberCounts(removed=len(removed), members=total)

    async def forget_hints(self, cid: Cid, uids: Sequence[Uid]) -> None:
        """Drop `cid` from the lists of those of `uids` who are no members of it."""
        await self._wire.commands([("ZREM", self._keys.conversations(uid), cid) for uid in uids], again=True)
        # One who was added again just now had the hint written before it was dropped here: write it again.
        joined = await self._scores(cid, uids)
        await self._hint(cid, [uid for uid, at in zip(uids, joined, strict=True) if at is not None])

    async def page(
        self, cid: Cid, *, after: Uid | None = None, joined: int | None = None, limit: int = 100
    ) -> list[MemberRow]:
        """Members in the order they joined, then by uid; `after` is the user the page before ended with.

        With `joined`, the head that user joined at, the page goes on even where the user has left meanwhile.
        Raises NoSuchConversation, and without `joined` Invalid when `after` is no member (any more).
        """
        keys = self._keys
        names = [keys.meta(cid), keys.members(cid), keys.roles(cid), keys.delivered(cid), keys.read(cid)]
        args: list[Arg] = [after or "", "" if joined is None else joined, min(max(1, limit), CHUNK)]
        reply = await self._wire.run(Call(MEMBERS_PAGE, names, args), again=True)
        if codec.is_error(reply):
            raise (
                no_such_conversation(cid)
                if reply[1] == b"no_such_conversation"
                else Invalid(f"after {after} is not a member of {cid}: expected the last user of the page before")
            )
        return [_member_row(each) for each in zip(*reply, strict=True)]

    async def every(self, cid: Cid) -> AsyncIterator[list[Uid]]:
        """All members in chunks, for a conversation nobody leaves meanwhile: one that is about to be deleted."""
        at = 0
        while chunk := await self._wire.command("ZRANGE", self._keys.members(cid), at, at + CHUNK - 1, again=True):
            yield [Uid(name.decode()) for name in chunk]
            at += len(chunk)

    async def joined(self, cid: Cid, uids: Sequence[Uid]) -> list[int | None]:
        """The head each user joined at, None: not a member. Raises NoSuchConversation."""
        await self._require_conversation(cid)
        return await self._scores(cid, uids)

    async def _require_conversation(self, cid: Cid) -> None:
        if not await self._wire.command("EXISTS", self._keys.meta(cid), again=True):
            raise no_such_conversation(cid)

    async def _scores(self, cid: Cid, uids: Sequence[Uid]) -> list[int | None]:
        found: list[int | None] = []
        for chunk in slices(uids, CHUNK):
            scores = await self._wire.command("ZMSCORE", self._keys.members(cid), *chunk, again=True)
            found.extend(None if score is None else int(score) for score in scores)
        return found

    async def role(self, cid: Cid, uid: Uid) -> Role | None:
        """The user's role, None: not a member, or no such conversation."""
        _, role = await self._look_up(cid, uid)
        return role

    async def require(self, cid: Cid, uid: Uid) -> Role:
        """The user's role. Raises NoSuchConversation or NotAMember."""
        exists, role = await self._look_up(cid, uid)
        if not exists:
            raise no_such_conversation(cid)
        if role is None:
            raise not_a_member(uid, cid)
        return role

    async def _look_up(self, cid: Cid, uid: Uid) -> tuple[bool, Role | None]:
        keys = self._keys
        exists, joined, role = await self._wire.commands(
            [("EXISTS", keys.meta(cid)), ("ZSCORE", keys.members(cid), uid), ("HGET", keys.roles(cid), uid)], again=True
        )
        return bool(exists), None if joined is None else _role(role)


def _role(raw: bytes | None) -> Role:
    return Role.MEMBER if raw is None else Role(raw.decode())


def _member_row(raw: Sequence[Any]) -> MemberRow:
    uid, joined, role, delivered, read = raw
    at = int(joined)
    return MemberRow(Uid(uid.decode()), _role(role), at, int(delivered or at), int(read or at))
