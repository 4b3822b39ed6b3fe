"""Who is connected where: the sessions of each user, which were ended, and what every node must hear about them.

Theory of operation. A user's table holds one row for each open session, with its node. A row counts while its node
lives (store.nodes); rows of dead nodes are taken off by whoever comes across them. A node that was only paused finds
its rows gone, and enters them again (`enter_again`), unless the device opened elsewhere meanwhile.

What ends a session on another node is announced, and kept for an hour under `ended`: an announcement can be lost, and
a node that may have missed some asks how its sessions stand (`standings`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from pushpull.errors import PushpullError
from pushpull.model import Goodbye, SessionId, Uid
from pushpull.store import devices, session_rows
from pushpull.store.batch import Batch, Batches
from pushpull.store.control import announce, last_said
from pushpull.store.keys import Keys, tag_of_user
from pushpull.store.nodes import Nodes
from pushpull.store.scripts import CLOSE_SESSION, OPEN_SESSION, Arg, Call, Wire
from pushpull.store.values import Announcement, Opened, SessionRecord, Standing

ENDED_S: Final = 3600
"""How long a node may be cut off or paused and still learn that a session was ended."""
ENDED_MAX: Final = 64
"""Ended sessions remembered of one user; of more than that the oldest are forgotten."""

_KICKED: Final = "kicked"
_REPLACED: Final = "replaced"


Command = tuple[Arg, ...]

_Asked = tuple[SessionRecord, Callable[[], bool]]
"""A session to enter, and whether its connection still lives."""


def _always() -> bool:
    return True


class Presence:
    """Sessions. A user's table is bounded by the sessions it may have, opening one drops the surplus."""

    def __init__(self, wire: Wire, keys: Keys, nodes: Nodes, *, most_sessions: int) -> None:
        self._wire = wire
        self._keys = keys
        self._nodes = nodes
        self._most_sessions = most_sessions
        self._opened = Batches(self._open_sessions)
        self._said = Batch(self._announce_all)
        self._revoked = Batches(self._revoked_before)

    def stop(self) -> None:
        """End what is under way of what was gathered."""
        self._opened.stop()
        self._said.stop()
        self._revoked.stop()

    # ------------------------------------------------------------------------------------------------ open, close

    def open_session(self, session: SessionRecord, *, still: Callable[[], bool] = _always) -> asyncio.Future[Opened]:
        """Enter a session. The answer: those of its own node it takes the place of, which the caller closes (other
        nodes are told), and where else the user is connected.

        Replaced are those of the same device, and the oldest over the number a user may have. `still`: whether its
        connection lives, asked once it is on the table. Entering may take seconds where Redis is slow or away; a device
        that was cut off meanwhile may be connected elsewhere by then, and must not be thrown out there.
        """
        return self._opened.ask((session, still), lane=self.lane(session.uid))

    def lane(self, uid: Uid) -> int:
        """Which lane what is the user's goes in; see Store.lane."""
        return self._wire.lane(tag_of_user(uid))

    async def _open_sessions(self, asked: Sequence[_Asked]) -> list[Opened | PushpullError]:
        sessions = [session for session, _ in asked]
        found = await self._enter(sessions)
        tidying: list[Command] = []
        said: list[Announcement] = []
        answers: list[Opened | PushpullError] = []
        for (session, still), before in zip(asked, found, strict=True):
            if isinstance(before, PushpullError):
                answers.append(before)
                continue
            if not still():
                tidying.append(self._off_the_table(session.uid, [session.id]))
                answers.append(Opened([], frozenset()))
                continue
            answers.append(self._take_place(session, before, tidying, said))
        await self._wire.commands(tidying, again=True)
        await announce(self._wire, self._keys, said)
        return answers

    def _take_place(
        self,
        session: SessionRecord,
        before: Sequence[SessionRecord],
        tidying: list[Command],
        said: list[Announcement],
    ) -> Opened:
        """`session` is on the table: what is to be done and announced about those it replaces goes into the lists."""
        replaced = self._replaced_by(session, before)
        if replaced:
            tidying.append(self._off_the_table(session.uid, [each.id for each in replaced]))
            others = [each.id for each in replaced if each.node != session.node]
            tidying += self._end(session.uid, others, _REPLACED)
            said += [Announcement(kind="kick", users=(session.uid,), session=o, replaced=True) for o in others]
        here = [each for each in replaced if each.node == session.node]
        stay = frozenset(each.node for each in before if each not in replaced)
        return Opened(here, stay - {session.node})

    async def enter_again(self, sessions: Sequence[SessionRecord]) -> list[Opened | PushpullError | None]:
        """Enter sessions that fell off the table: their node was taken for dead, or Redis lost the row in a failover.

        None for one whose place was taken since it connected, by the same device or by as many others as the user may
        have: its node closes it. Rows from before it connected are older, and it takes their place: a failover may
        have brought them back.
        """
        found = await self._enter(sessions)
        answers: list[Opened | PushpullError | None] = []
        tidying: list[Command] = []
        said: list[Announcement] = []
        for session, before in zip(sessions, found, strict=True):
            if isinstance(before, PushpullError):
                answers.append(before)
            elif self._replaced_by(session, [each for each in before if _is_since(each, session)]):
                tidying.append(self._off_the_table(session.uid, [session.id]))
                answers.append(None)
            else:
                answers.append(self._take_place(session, before, tidying, said))
        await self._wire.commands(tidying, again=True)
        await announce(self._wire, self._keys, said)
        return answers

    async def _enter(self, sessions: Sequence[SessionRecord]) -> list[list[SessionRecord] | PushpullError]:
        """Enter each; what else the user had open on live nodes then, oldest first. Rows of dead nodes are dropped."""
        calls = [
            Call(
                OPEN_SESSION,
                [self._keys.sessions(each.uid), self._keys.devices(each.uid)],
                [each.id, session_rows.encode(each), *devices.opened(each)],
            )
            for each in sessions
        ]
        # May run twice: a session is not among those it finds.
        replies = await self._wire.run_many(calls, again=True)
        found = [
            reply
            if isinstance(reply, PushpullError)
            else [each for each in session_rows.in_order(session.uid, reply) if each.id != session.id]
            for session, reply in zip(sessions, replies, strict=True)
        ]
        return await self._of_the_living(found)

    async def _of_the_living(
        self, found: Sequence[list[SessionRecord] | PushpullError]
    ) -> list[list[SessionRecord] | PushpullError]:
        """Without the rows of dead nodes, which are taken off their tables."""
        rows = [row for each in found if not isinstance(each, PushpullError) for row in each]
        dead = await self._nodes.dead(row.node for row in rows)
        if not dead:
            return list(found)
        lost = [self._off_the_table(row.uid, [row.id]) for row in rows if row.node in dead]
        await self._wire.commands(lost, again=True)
        return [
            each if isinstance(each, PushpullError) else [row for row in each if row.node not in dead] for each in found
        ]

    def _replaced_by(self, session: SessionRecord, before: Sequence[SessionRecord]) -> list[SessionRecord]:
        """Whose place `session` takes among those who were there."""
        same = [each for each in before if each.device == session.device]
        others = [each for each in before if each.device != session.device]
        surplus = len(others) + 1 - self._most_sessions
        return same + others[: max(0, surplus)]

    async def close_session(self, uid: Uid, session: SessionId) -> None:
        """Take a session off the table, if it is still there."""
        await self._wire.command(*self._off_the_table(uid, [session]), again=True)

    async def leave(self, session: SessionRecord, goodbye: Goodbye, *, at_ms: int) -> None:
        """Take a session off the table whose connection ended then, and remember why."""
        keys = [self._keys.sessions(session.uid), self._keys.devices(session.uid)]
        args: list[Arg] = [session.id, session.device, *devices.closed(session, goodbye, at_ms)]
        await self._wire.run(Call(CLOSE_SESSION, keys, args), again=True)

    def _off_the_table(self, uid: Uid, sessions: Sequence[SessionId]) -> Command:
        return ("HDEL", self._keys.sessions(uid), *sessions)

    # ------------------------------------------------------------------------------------------------ asked

    async def sessions(self, uid: Uid) -> list[SessionRecord]:
        """The user's sessions on nodes that live, oldest first."""
        await self._nodes.alive()
        found = await self._wire.command("HGETALL", self._keys.sessions(uid), again=True)
        (living,) = await self._of_the_living([session_rows.in_order(uid, found)])
        assert not isinstance(living, PushpullError)
        return living

    async def connected(self, users: Sequence[Uid]) -> list[Uid]:
        """Those of `users` who have a session on a node that lives, in their order; one pass over their tables."""
        await self._nodes.alive()
        found = await self._wire.commands([("HGETALL", self._keys.sessions(uid)) for uid in users], again=True)
        tables = [session_rows.in_order(uid, table) for uid, table in zip(users, found, strict=True)]
        living = await self._of_the_living(tables)
        return [uid for uid, table in zip(users, living, strict=True) if isinstance(table, list) and table]

    async def standings(self, sessions: Sequence[SessionRecord]) -> list[Standing]:
        """What became of sessions while their node may have missed announcements; in order."""
        commands: list[Command] = []
        for each in sessions:
            ended = (_ended(each.id, _KICKED), _ended(each.id, _REPLACED))
            commands += [
                ("GET", self._keys.revoked(each.uid)),
                ("ZMSCORE", self._keys.ended(each.uid), *ended),
                ("HGETALL", self._keys.sessions(each.uid)),
            ]
        replies = await self._wire.commands(commands, again=True)
        tables = [session_rows.in_order(each.uid, table) for each, table in zip(sessions, replies[2::3], strict=True)]
        living = await self._of_the_living(tables)
        return [
            session_rows.standing(session, revoked, ended, [] if isinstance(table, PushpullError) else table)
            for session, revoked, ended, table in zip(sessions, replies[::3], replies[1::3], living, strict=True)
        ]

    async def revoked_before(self, uid: Uid) -> int | None:
        """Tokens of the user's issued before this (s since 1970) are refused; None: no such time was set."""
        return await self._revoked.ask(uid, lane=self.lane(uid))

    async def _revoked_before(self, users: Sequence[Uid]) -> list[int | None]:
        found = await self._wire.commands([("GET", self._keys.revoked(uid)) for uid in users], again=True)
        return [None if each is None else int(each) for each in found]

    # ------------------------------------------------------------------------------------------------ ended

    async def kick(self, uid: Uid, session: SessionId | None = None) -> None:
        """Close this session of the user's, or all of them, on whatever node."""
        sessions = [session] if session is not None else await self._open_now(uid)
        if sessions:
            await self._wire.commands(
                [self._off_the_table(uid, sessions), *self._end(uid, sessions, _KICKED)], again=True
            )
        await self.announce(Announcement(kind="kick", users=(uid,), session=session))

    async def _open_now(self, uid: Uid) -> list[SessionId]:
        found = await self._wire.command("HKEYS", self._keys.sessions(uid), again=True)
        return [SessionId(name.decode()) for name in found if name != session_rows.ORDER_FIELD]

    def _end(self, uid: Uid, sessions: Sequence[SessionId], how: str) -> list[Command]:
        """Remember that these were ended."""
        if not sessions:
            return []
        key, now = self._keys.ended(uid), int(time.time())
        rows: list[Arg] = [part for each in sessions for part in (now, _ended(each, how))]
        return [
            ("ZADD", key, *rows),
            ("ZREMRANGEBYRANK", key, 0, -ENDED_MAX - 1),
            ("EXPIRE", key, ENDED_S),
        ]

    async def revoke_before(self, uid: Uid, ts: int) -> None:
        """Refuse the user's tokens issued before `ts` (s since 1970), and tell every node to close their sessions.

        0 refuses none any more, and leaves no trace of the user.
        """
        command: Command = ("SET", self._keys.revoked(uid), ts) if ts else ("DEL", self._keys.revoked(uid))
        await self._wire.command(*command, again=True)
        await self.announce(Announcement(kind="revoked", users=(uid,), ts=ts))

    async def announce(self, said: Announcement) -> None:
        """Tell every node."""
        await self._said.ask(said)

    async def _announce_all(self, said: Sequence[Announcement]) -> list[None]:
        await announce(self._wire, self._keys, said)
        return [None] * len(said)

    async def last_announced(self) -> int:
        """The number of the newest announcement, 0: none was made. Raises StoreUnavailable."""
        return await last_said(self._wire, self._keys)


def _ended(session: SessionId, how: str) -> str:
    return f"{session} {how}"


def _is_since(other: SessionRecord, session: SessionRecord) -> bool:
    """Whether `other` connected when `session` had already, by their nodes' clocks."""
    return other.connected_at_ms >= session.connected_at_ms
