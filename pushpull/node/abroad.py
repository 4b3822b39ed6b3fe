"""Users who are connected on other nodes too: their cursors are told there as well.

Theory of operation. Whoever opens a session learns from the user's table where else the user is; then this node notes
it, and tells the others that the user is here now (`here`), until the last session of the user here is gone (`gone`).
Only of users noted so are cursors announced, and in the rhythm in which devices of this node are told: a `read` that
moved at once, what acks move at most once in cursor_news.OWN_S and conversation. Of all others nothing is said, so a
service of one node, and a user with one device, pay nothing.

Bounded: users by those connected here, each with as many nodes as sessions; what was told last and what waits by
TOLD_MAX entries, past which the oldest is told again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Collection, Iterable
from typing import Final, Protocol

from pushpull.errors import PushpullError
from pushpull.model import Cid, Cursors, Uid
from pushpull.node.background import Background
from pushpull.node.peers import Peers
from pushpull.store.values import Announcement

log = logging.getLogger(__name__)

TOLD_MAX: Final = 20_000


class Crier(Protocol):
    async def announce(self, said: Announcement) -> None: ...


class NodeTable(Protocol):
    @property
    def known(self) -> frozenset[str]:
        """The nodes that live, as of a moment ago."""


class Abroad:
    def __init__(self, node_id: str, crier: Crier, nodes: NodeTable, peers: Peers, background: Background) -> None:
        self.users: dict[Uid, set[str]] = {}  # → the other nodes where the user is connected
        self._node_id = node_id
        self._crier = crier
        self._nodes = nodes
        self._peers = peers
        self._background = background
        self._told: OrderedDict[tuple[Uid, Cid], int] = OrderedDict()  # → the `read` that was announced last
        self._waiting: dict[tuple[Uid, Cid], Cursors] = {}

    # ------------------------------------------------------------------------------------------------ who

    def opened(self, uid: Uid, elsewhere: Collection[str]) -> None:
        """The user opened a session here and is connected on these nodes, too: let them know."""
        if elsewhere:
            self.noted(uid, elsewhere)
            self._say(Announcement(kind="here", users=(uid,), node=self._node_id))

    def noted(self, uid: Uid, nodes: Iterable[str]) -> None:
        """The user is connected on these nodes."""
        others = [node for node in nodes if node != self._node_id]
        if others and self._peers.of(uid):
            self.users.setdefault(uid, set()).update(others)

    def gone(self, uid: Uid, node: str) -> None:
        """The user's last session there is gone."""
        nodes = self.users.get(uid)
        if nodes is not None:
            nodes.discard(node)
            if not nodes:
                del self.users[uid]

    def left(self, uid: Uid) -> None:
        """A session of the user here is gone; if it was the last, let the others know."""
        if uid in self.users and not self._peers.of(uid):
            del self.users[uid]
            self._say(Announcement(kind="gone", users=(uid,), node=self._node_id))

    def keep(self, alive: Collection[str]) -> None:
        """These nodes live: nobody is connected on any other."""
        for uid, nodes in list(self.users.items()):
            for node in nodes.difference(alive):
                self.gone(uid, node)

    # ------------------------------------------------------------------------------------------------ cursors

    def moved(self, cid: Cid, uid: Uid, now: Cursors) -> None:
        """The cursors of a user who is connected elsewhere too are here now."""
        known = self._told.get((uid, cid))
        if known is None or now.read > known:
            self._tell(uid, cid, now)
        else:
            self._waiting[uid, cid] = now

    def moved_by_call(self, cid: Cid, uid: Uid, now: Cursors) -> None:
        """The same, by a call that may come to any node: the user need not be connected here at all."""
        if uid not in self.users and not self._peers.of(uid) and self._nodes.known - {self._node_id}:
            self.moved(cid, uid, now)

    def tell_waiting(self) -> None:
        """Tell what has waited. Call every cursor_news.OWN_S."""
        waiting, self._waiting = self._waiting, {}
        for (uid, cid), now in waiting.items():
            self._tell(uid, cid, now)

    def _tell(self, uid: Uid, cid: Cid, now: Cursors) -> None:
        self._waiting.pop((uid, cid), None)
        self._told[uid, cid] = now.read
        self._told.move_to_end((uid, cid))
        if len(self._told) > TOLD_MAX:
            oldest, _ = self._told.popitem(last=False)
            self._waiting.pop(oldest, None)  # its next move is told at once
        self._say(Announcement(kind="cursors", cid=cid, users=(uid,), cursors=now))

    def _say(self, said: Announcement) -> None:
        self._background.spawn(self._announce(said), "announcement")

    async def _announce(self, said: Announcement) -> None:
        try:
            await self._crier.announce(said)
        except PushpullError as problem:
            # The next one is told, and a device that comes back sees its row.
            log.debug("%s was not announced: %s", said.kind, problem.message)
