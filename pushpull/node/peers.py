"""Who is connected here: sessions by id and by user."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pushpull.delivery.place import Place
from pushpull.model import Cid, SessionId, Uid

if TYPE_CHECKING:
    from pushpull.node.peer import Peer


class Peers:
    """Bounded by `limits.connections`, which whoever accepts a connection asks `full` about."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.connected: set[Peer] = set()
        self._by_id: dict[SessionId, Peer] = {}
        self._by_user: dict[Uid, dict[SessionId, Peer]] = {}

    def __len__(self) -> int:
        """Open sessions: authenticated ones."""
        return len(self._by_id)

    def __iter__(self) -> Iterator[Peer]:
        """Every connection, authenticated or not."""
        return iter(tuple(self.connected))

    @property
    def full(self) -> bool:
        return len(self.connected) >= self._limit

    def connect(self, peer: Peer) -> None:
        self.connected.add(peer)

    def open(self, peer: Peer) -> None:
        """`peer` is authenticated."""
        session = peer.session
        self._by_id[session.id] = peer
        self._by_user.setdefault(session.uid, {})[session.id] = peer

    def drop(self, peer: Peer) -> None:
        session = peer.session
        self.connected.discard(peer)
        self._by_id.pop(session.id, None)
        sessions = self._by_user.get(session.uid)
        if sessions is not None:
            sessions.pop(session.id, None)
            if not sessions:
                del self._by_user[session.uid]

    def get(self, session: SessionId) -> Peer | None:
        return self._by_id.get(session)

    def of(self, uid: Uid) -> tuple[Peer, ...]:
        """The user's sessions here."""
        return tuple(self._by_user.get(uid, {}).values())

    def users(self) -> tuple[Uid, ...]:
        return tuple(self._by_user)

    def places(self, users: Iterable[Uid], cid: Cid) -> Iterator[Place]:
        """Where these users' sessions stand in one conversation."""
        for uid in users:
            for peer in self.of(uid):
                place = peer.session.places.get(cid)
                if place is not None:
                    yield place
