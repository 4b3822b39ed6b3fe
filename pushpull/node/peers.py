"""Who is connected here: sessions by id and by user."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Protocol

from pushpull.delivery.place import Place
from pushpull.delivery.session import Session
from pushpull.model import Cid, SessionId, Uid
from pushpull.store.values import SessionRecord


class Connected(Protocol):
    """One connection of a device, as the rest of the node reaches it (node.peer.Peer)."""

    session: Session
    record: SessionRecord | None  # its row on the user's table

    @property
    def entering(self) -> bool:
        """Its row is on its way to the table."""

    def write(self, data: bytes) -> None:
        """Send one frame."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, after what was written."""

    def abort(self) -> None:
        """End at once; what waits is lost."""

    def tick(self, now: float) -> None:
        """Do what time alone makes due."""

    async def join(self, cid: Cid) -> None:
        """The user became a member of `cid`."""

    async def check_list(self) -> None:
        """Announcements may have been missed."""

    def leave(self, cid: Cid, change: str) -> None:
        """The user is no member of `cid` any more, or it is deleted."""

    def revoked_before(self, ts: float) -> None:
        """Tokens issued before `ts` (s since 1970) are refused from now on."""


class Peers:
    """Bounded by `limits.connections`, which whoever accepts a connection asks `full` about."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.connected: set[Connected] = set()
        self.empty = asyncio.Event()  # nobody is connected
        self.empty.set()
        self._by_id: dict[SessionId, Connected] = {}
        self._by_user: dict[Uid, dict[SessionId, Connected]] = {}

    def __len__(self) -> int:
        """Open sessions: authenticated ones."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Connected]:
        """Every connection, authenticated or not."""
        return iter(tuple(self.connected))

    @property
    def full(self) -> bool:
        return len(self.connected) >= self._limit

    def connect(self, peer: Connected) -> None:
        self.connected.add(peer)
        self.empty.clear()

    def open(self, peer: Connected) -> None:
        """`peer` is authenticated."""
        session = peer.session
        self._by_id[session.id] = peer
        self._by_user.setdefault(session.uid, {})[session.id] = peer

    def drop(self, peer: Connected) -> None:
        session = peer.session
        self.connected.discard(peer)
        if not self.connected:
            self.empty.set()
        self._by_id.pop(session.id, None)
        sessions = self._by_user.get(session.uid)
        if sessions is not None:
            sessions.pop(session.id, None)
            if not sessions:
                del self._by_user[session.uid]

    def get(self, session: SessionId) -> Connected | None:
        return self._by_id.get(session)

    def of(self, uid: Uid) -> tuple[Connected, ...]:
        """The user's sessions here."""
        return tuple(self._by_user.get(uid, {}).values())

    def users(self) -> tuple[Uid, ...]:
        return tuple(self._by_user)

    def places(self, users: Iterable[Uid], cid: Cid) -> Iterator[Place]:
        """Where these users' sessions stand in one conversation."""
        for uid in users:
            yield from self.places_of(uid, cid)

    def places_of(self, uid: Uid, cid: Cid) -> list[Place]:
        """Where the user's sessions stand in one conversation."""
        sessions = self._by_user.get(uid, {})
        return [place for peer in sessions.values() if (place := peer.session.places.get(cid)) is not None]
