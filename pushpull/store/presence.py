"""Who is connected where: nodes that beat, the sessions of each user, and what every node must hear about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pushpull.errors import PushpullError
from pushpull.model import SessionId, Uid
from pushpull.store.batch import Batch
from pushpull.store.control import publish
from pushpull.store.keys import Keys
from pushpull.store.scripts import BEAT, NODES, OPEN_SESSION, Arg, Call, Wire
from pushpull.store.values import Announcement, NodeRecord, SessionRecord

ALIVE_MS: Final = 15_000
FORGOTTEN_MS: Final = 24 * 3_600_000  # a node that was killed and never came back under its id

_ORDER_FIELD: Final = b"#"


class _Kept(msgspec.Struct, frozen=True):
    device: str
    node: str
    client: str
    connected_at_ms: int


_encode = msgspec.json.Encoder().encode
_decode_kept = msgspec.json.Decoder(_Kept).decode
_decode_info = msgspec.json.Decoder(dict[str, Any]).decode


class Presence:
    """Sessions and nodes. A user's table is bounded by the sessions it may have, opening one drops the surplus."""

    def __init__(self, wire: Wire, keys: Keys, *, most_sessions: int) -> None:
        self._wire = wire
        self._keys = keys
        self._most_sessions = most_sessions
        self._opened = Batch(self._open_sessions)
        self._said = Batch(self._announce_all)
        self._revoked = Batch(self._revoked_before)

    def stop(self) -> None:
        """End what is under way of what was gathered."""
        for batch in (self._opened, self._said, self._revoked):
            batch.stop()

    async def open_session(self, session: SessionRecord) -> list[SessionRecord]:
        """Enter a session; return those it takes the place of, which the caller closes or kicks.

        These are the ones of the same device, and the oldest over the number a user may have.
        """
        return await self._opened.ask(session)

    async def _open_sessions(self, sessions: Sequence[SessionRecord]) -> list[list[SessionRecord] | PushpullError]:
        calls = [Call(OPEN_SESSION, [self._keys.sessions(each.uid)], [each.id, _kept(each)]) for each in sessions]
        # May run twice: a session is not among those it replaces.
        replies = await self._wire.run_many(calls, again=True)
        found = [
            reply if isinstance(reply, PushpullError) else self._replaced(session, reply)
            for session, reply in zip(sessions, replies, strict=True)
        ]
        drops: list[tuple[Arg, ...]] = [
            ("HDEL", self._keys.sessions(session.uid), *(each.id for each in replaced))
            for session, replaced in zip(sessions, found, strict=True)
            if isinstance(replaced, list) and replaced
        ]
        await self._wire.commands(drops, again=True)
        return found

    def _replaced(self, session: SessionRecord, flat: Sequence[bytes]) -> list[SessionRecord]:
        """Whose place `session` takes among those in `flat`, the user's table before it."""
        before = _in_order(session.uid, dict(zip(flat[::2], flat[1::2], strict=True)))
        before = [each for each in before if each.id != session.id]
        same = [each for each in before if each.device == session.device]
        others = [each for each in before if each.device != session.device]
        surplus = len(others) + 1 - self._most_sessions
        return same + others[: max(0, surplus)]

    async def close_session(self, uid: Uid, session: SessionId) -> None:
        """Take a session off the table, if it is still there."""
        await self._wire.command("HDEL", self._keys.sessions(uid), session, again=True)

    async def sessions(self, uid: Uid) -> list[SessionRecord]:
        """The user's live sessions, oldest first: those whose node has beaten within 15 s."""
        found = await self._wire.command("HGETALL", self._keys.sessions(uid), again=True)
        if not found:
            return []
        alive = {node.id for node in await self.nodes()}
        return [each for each in _in_order(uid, found) if each.node in alive]

    async def kick(self, uid: Uid, session: SessionId | None = None) -> None:
        """Tell every node to close this session of the user's, or all of them."""
        await self._announce(Announcement(kind="kick", users=(uid,), session=session))

    async def revoke_before(self, uid: Uid, ts: int) -> None:
        """Refuse the user's tokens issued before `ts` (s since 1970), and tell every node to close their sessions."""
        await self._wire.command("SET", self._keys.revoked(uid), ts, again=True)
        await self._announce(Announcement(kind="revoked", users=(uid,), ts=ts))

    async def revoked_before(self, uid: Uid) -> int | None:
        """Tokens of the user's issued before this (s since 1970) are refused; None: no such time was set."""
        return await self._revoked.ask(uid)

    async def _revoked_before(self, users: Sequence[Uid]) -> list[int | None]:
        found = await self._wire.commands([("GET", self._keys.revoked(uid)) for uid in users], again=True)
        return [None if each is None else int(each) for each in found]

    async def _announce(self, said: Announcement) -> None:
        await self._said.ask(said)

    async def _announce_all(self, said: Sequence[Announcement]) -> list[None]:
        await self._wire.commands([command for each in said for command in publish(self._keys, each)], again=True)
        return [None] * len(said)

    async def beat(self, node: str, info: Mapping[str, object]) -> None:
        """Say that `node` lives, and what it says of itself (JSON values); 15 s of silence is death."""
        await self._wire.run(Call(BEAT, [self._keys.nodes()], [node, _encode(dict(info))]), again=True)

    async def nodes(self) -> list[NodeRecord]:
        """The nodes that have beaten within 15 s, by id. Those silent for a day are forgotten on the way."""
        now, flat = await self._wire.run(Call(NODES, [self._keys.nodes()]), again=True)
        everyone = [_node(int(now), *pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
        forgotten = [node.id for node in everyone if node.age_ms > FORGOTTEN_MS]
        if forgotten:
            await self._wire.command("HDEL", self._keys.nodes(), *forgotten, again=True)
        return sorted((node for node in everyone if node.age_ms <= ALIVE_MS), key=lambda node: node.id)

    async def leave(self, node: str) -> None:
        """Take a node off the table: it goes away on purpose."""
        await self._wire.command("HDEL", self._keys.nodes(), node, again=True)


def _kept(session: SessionRecord) -> bytes:
    return _encode(_Kept(session.device, session.node, session.client, session.connected_at_ms))


def _in_order(uid: Uid, found: Mapping[bytes, bytes]) -> list[SessionRecord]:
    """Decode `{id: "<order> <kept>"}`, oldest first."""
    rows: Sequence[tuple[int, bytes, _Kept]] = sorted(
        (
            (int(order), name, _decode_kept(kept))
            for name, value in found.items()
            if name != _ORDER_FIELD
            for order, _, kept in [value.partition(b" ")]
        ),
        key=lambda row: row[0],
    )
    return [
        SessionRecord(
            id=SessionId(name.decode()),
            uid=uid,
            device=kept.device,
            node=kept.node,
            client=kept.client,
            connected_at_ms=kept.connected_at_ms,
        )
        for _, name, kept in rows
    ]


def _node(now_ms: int, name: bytes, value: bytes) -> NodeRecord:
    beat_ms, _, info = value.partition(b" ")
    return NodeRecord(name.decode(), max(0, now_ms - int(beat_ms)), _decode_info(info))
