"""Telling devices where their user's cursors are now.

A `read` that was moved, by another device, by this one, or by the backend, is told at once: a badge waits for it. What
acks move, and what follows from a device's own sends, is told once in OWN_S and conversation, the newest of it: an echo
of every ack would double the frames of a busy group.

Devices on other nodes are told through node.abroad.

Bounded by the places of this node: what waits is a place, not a frame.
"""

from __future__ import annotations

import asyncio
from typing import Final

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.model import Cid, Cursors, SessionId, Uid
from pushpull.node.abroad import Abroad
from pushpull.node.peers import Peers

OWN_S: Final = 3.0
SLICE: Final = 256  # written between two turns of the loop


class CursorNews:
    def __init__(self, peers: Peers, abroad: Abroad) -> None:
        self._peers = peers
        self._abroad = abroad
        self._waiting: dict[Place, None] = {}
        self._turn = 1  # a new one every OWN_S

    def moved(self, cid: Cid, uid: Uid, after: Cursors, by: SessionId | None = None) -> None:
        """The cursors of `uid` are at `after`; `by`: the session whose send moved them."""
        if uid in self._abroad.users:
            self._abroad.moved(cid, uid, after)
        self.told_here(cid, uid, after, by)

    def told_here(self, cid: Cid, uid: Uid, after: Cursors, by: SessionId | None = None) -> None:
        """Tell the user's devices on this node alone: another node has it announced."""
        for place in self._peers.places_of(uid, cid):
            before = place.told
            news = place.news_of(after)
            if news is None:
                continue
            own = before is not None and (news.read == before.read or place.device.session == by)
            if own and place.told_in == self._turn:
                self._waiting[place] = None
            else:
                self._waiting.pop(place, None)
                self._tell(place, news)

    def _tell(self, place: Place, news: Cursors) -> None:
        place.told_in = self._turn
        place.connection.write(frames.cursors(place.cid, news))

    async def tell_waiting(self) -> None:
        """Tell what has waited. Call every OWN_S."""
        self._abroad.tell_waiting()
        waiting, self._waiting = self._waiting, {}
        self._turn += 1
        for number, place in enumerate(waiting):
            if place.attached and place.told is not None:
                self._tell(place, place.told)
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
