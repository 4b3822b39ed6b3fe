"""Who of a small conversation's members is connected, on any node: looked up when somebody asks.

A look reads the table of sessions of each member, so whoever asks while one is under way, or within KEPT_S after it,
gets what it finds: however many ask, a conversation costs one look a second and node.

Bounded: KEPT_MAX looks are remembered; past that the oldest is forgotten, and looked up anew.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pushpull.delivery.policy import is_small
from pushpull.delivery.shedding import Extra
from pushpull.errors import NotAllowed, RateLimited
from pushpull.model import Cid, Head, Uid
from pushpull.node.relief import Relief
from pushpull.settings import Settings

KEPT_S: Final = 1.0
KEPT_MAX: Final = 1_000
BUSY_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Present:
    """`connected`: those of the members who have a session, in the order they joined."""

    members: int
    connected: Sequence[Uid]


class Heads(Protocol):
    async def head(self, cid: Cid) -> Head: ...


class MemberTable(Protocol):
    def every(self, cid: Cid) -> AsyncIterator[list[Uid]]: ...


class SessionTables(Protocol):
    async def connected(self, users: Sequence[Uid]) -> list[Uid]: ...


class Attendance:
    def __init__(
        self, heads: Heads, members: MemberTable, sessions: SessionTables, relief: Relief, settings: Settings
    ) -> None:
        self._heads = heads
        self._members = members
        self._sessions = sessions
        self._relief = relief
        self._settings = settings  # those of its `delivery` change
        self._looks: OrderedDict[Cid, tuple[float, asyncio.Task[Present]]] = OrderedDict()  # since when

    async def of(self, cid: Cid) -> Present:
        """Who is there, as of a second ago at most.

        Raises NoSuchConversation, NotAllowed where there are too many members, RateLimited while the node has more to
        do than it can, StoreUnavailable.
        """
        began, look = self._looks.get(cid, (0.0, None))
        if look is None or (look.done() and not _is_good(look, began)):
            if self._relief.sheds(Extra.PRESENCE):
                raise RateLimited("this node has no time to look who is connected", retry_after_ms=BUSY_MS)
            look = self._begin(cid)
        return await asyncio.shield(look)  # whoever goes away leaves it to the others

    def _begin(self, cid: Cid) -> asyncio.Task[Present]:
        look = asyncio.create_task(self._look(cid), name="presence")
        look.add_done_callback(_seen)
        self._looks[cid] = time.monotonic(), look
        self._looks.move_to_end(cid)
        if len(self._looks) > KEPT_MAX:
            self._looks.popitem(last=False)
        return look

    async def _look(self, cid: Cid) -> Present:
        head, delivery = await self._heads.head(cid), self._settings.delivery
        most = delivery.push_max_members
        if not is_small(head.members, delivery):
            raise NotAllowed(f"{cid} has {head.members} members: presence is told of up to {most}")
        members = [uid async for chunk in self._members.every(cid) for uid in chunk][:most]
        return Present(len(members), await self._sessions.connected(members))


def _is_good(look: asyncio.Task[Present], began: float) -> bool:
    return not look.cancelled() and look.exception() is None and time.monotonic() - began < KEPT_S


def _seen(look: asyncio.Task[Present]) -> None:
    if not look.cancelled():
        look.exception()  # those who asked are told; there may be none left
