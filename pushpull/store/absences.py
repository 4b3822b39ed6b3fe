"""Who is behind in a conversation, who was told, and the one notification that is under way.

A claim is what makes a notification exist: in one script its users are written down as told and it is kept, under its
id, until it was delivered. A worker that dies leaves it for the next one, who sends the same again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pushpull.errors import NotAMember, PushpullError, no_such_conversation, not_a_member
from pushpull.model import DEFAULT_PREFS, Absent, Cid, Notification, Owed, Prefs, Uid
from pushpull.store import codec
from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg, Call, Script, Wire
from pushpull.store.values import Look

CHUNK: Final = 1000
"""Members a look takes: about 2 ms of Redis. Their lists go through Lua's unpack, which ends near 8,000."""

_ABSENT: Final = Script.load("absent", "basics", "state", "rank")
_CLAIM: Final = Script.load("claim", "basics")
_CLAIMED: Final = Script.load("claimed")
_SETTLE: Final = Script.load("settle")
_PREFER: Final = Script.load("prefer")

_KEPT: Final[dict[bytes, Prefs]] = {b"": DEFAULT_PREFS}


class Absences:
    """Of all conversations. `by`: the cursor that takes a notification back. Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys, *, by: str) -> None:
        self._wire = wire
        self._keys = keys
        self._by = by

    def _cursor(self, cid: Cid) -> str:
        return self._keys.delivered(cid) if self._by == "delivered" else self._keys.read(cid)

    async def look(self, cids: Sequence[Cid], *, young_s: float = 0.0) -> list[Look | PushpullError | None]:
        """The first members who are behind in each, all in one pipeline; None: there is no such conversation.

        Messages younger than `young_s` do not count: who is only behind those is not behind.
        """
        calls = [self._look_call(cid, "", 0, "", young_ms=int(young_s * 1000)) for cid in cids]
        replies = await self._wire.run_many(calls, again=True)
        return [reply if isinstance(reply, PushpullError) else _look(reply) for reply in replies]

    async def look_on(self, cid: Cid, before: Look) -> Look | None:
        """The next members after those of `before`, behind the same message."""
        call = self._look_call(cid, before.upto, before.last_at, before.last_uid)
        return _look(await self._wire.run(call, again=True))

    def _look_call(self, cid: Cid, upto: int | str, last_at: int, last_uid: str, young_ms: int = 0) -> Call:
        keys = self._keys
        names = [keys.meta(cid), keys.members(cid), self._cursor(cid), keys.read(cid), keys.told(cid)]
        names += [keys.prefs(cid), keys.quiet(cid), keys.mentions(cid), keys.claim(cid), keys.log(cid)]
        return Call(_ABSENT, names, [upto, last_at, last_uid, CHUNK, young_ms])

    async def claim(self, cid: Cid, event: str, look: Look, users: Sequence[Absent]) -> Notification | None:
        """Make the notification `event` for `users`, or get the one that is open (its id differs then).

        Who has caught up, has left or was told since the look is left out; None: nobody remains. May be repeated.
        """
        keys = self._keys
        args: list[Arg] = [event, look.upto, look.newest]
        for user in users:
            args += (user.uid, user.unread, int(user.mentioned))
        names = [keys.meta(cid), keys.members(cid), self._cursor(cid), keys.told(cid), keys.claim(cid)]
        reply = await self._wire.run(Call(_CLAIM, names, args), again=True)
        return None if reply is None else _notification(cid, reply)

    async def claimed(self, cid: Cid) -> Notification | None:
        """The notification that is open, without those who have caught up or left since; None: there is none."""
        names = [self._keys.members(cid), self._cursor(cid), self._keys.claim(cid)]
        reply = await self._wire.run(Call(_CLAIMED, names), again=True)
        return None if reply is None else _notification(cid, reply)

    async def settle(self, cid: Cid, event: str = "", *, given_up: bool = False) -> int:
        """End the open claim `event` ("": whichever). `given_up`: its users count as not told, later news may be."""
        names = [self._keys.claim(cid), self._keys.told(cid)]
        return int(await self._wire.run(Call(_SETTLE, names, [event, int(given_up)]), again=True))

    async def prefer(self, cid: Cid, uid: Uid, *, notify: str | None, mute_until: int | None) -> None:
        """Set what a member wants to be notified of. None: as it was; `mute_until` in ms since 1970, 0: not muted.

        Raises NoSuchConversation, NotAMember.
        """
        keys = self._keys
        args: list[Arg] = [uid, notify or "", "" if mute_until is None else mute_until]
        reply = await self._wire.run(
            Call(_PREFER, [keys.meta(cid), keys.members(cid), keys.prefs(cid)], args), again=True
        )
        if codec.is_error(reply):
            raise not_a_member(uid, cid) if reply[1] == NotAMember.code.encode() else no_such_conversation(cid)


def _look(reply: Any) -> Look | None:
    if reply is None:
        return None
    state, now_ms, upto, newest, claimed, rows, last_at, last_uid = reply
    return Look(
        head=codec.head(state),
        now_ms=now_ms,
        upto=upto,
        newest=newest,
        claimed=bool(claimed),
        absent=[
            Absent(Uid(uid.decode()), unread, bool(mentioned), bool(told), _prefs(prefs))
            for uid, unread, mentioned, told, prefs in zip(*(iter(rows),) * 5, strict=True)
        ],
        last_at=int(last_at),
        last_uid=Uid(last_uid.decode()),
    )


def _prefs(raw: bytes) -> Prefs:
    return _KEPT.get(raw) or codec.prefs(raw)


def _notification(cid: Cid, raw: bytes) -> Notification:
    event, upto, newest, made_ms, listed = raw.decode().split(" ", 4)
    users = []
    for row in filter(None, listed.split(",")):
        uid, unread, mentioned = row.split("/")
        users.append(Owed(Uid(uid), int(unread), mentioned == "1"))
    return Notification(id=event, cid=cid, upto=int(upto), newest=int(newest), made_ms=int(made_ms), users=tuple(users))
