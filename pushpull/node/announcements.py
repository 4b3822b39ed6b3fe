"""Whether this node heard all that was announced, and what to do where it did not.

Announcements are numbered. A number left out, or one that Redis has given and nobody heard here, means that something
was missed: who joined, who was kicked, whose token was revoked, another policy. Then every session is looked up, and
every list. The
same goes for a control channel that was cut, and for numbers that fell, as a failover may lose the last: nobody knows
what was said meanwhile.

Bounded: one look at a time, and one more after it, however much is missed.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pushpull.delivery import codes
from pushpull.errors import PushpullError
from pushpull.node import standing
from pushpull.node.parts import Parts
from pushpull.node.policy import read_again

log = logging.getLogger(__name__)

ON_ITS_WAY_S: Final = 0.5
"""An announcement that was numbered so long ago and not heard was lost."""


class Announcements:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._heard: int | None = None  # the number heard last; None: not known where this node stands
        self._looking = False
        self._again = False  # something was missed while looking

    def heard(self, number: int) -> None:
        """One was heard; those between it and the one before were not."""
        before, self._heard = self._heard, number
        if before is not None and number != before + 1:
            self.missed()

    def missed(self) -> None:
        """Something may have been said that was not heard here."""
        self._again = self._looking
        if not self._looking:
            self._looking = True
            self._parts.background.spawn(self._look_up(), "announcements catch-up")

    async def check(self) -> None:
        """Has more been said than was heard? Raises StoreUnavailable."""
        before = self._heard
        said = await self._parts.store.presence.last_announced()
        fell = before is not None and said < before
        if not fell:
            await asyncio.sleep(ON_ITS_WAY_S)
        if fell or self._heard is None or self._heard < said:
            log.warning("announcements were lost on the way: looking up what they said")
            self.missed()

    async def _look_up(self) -> None:
        try:
            while True:
                self._again = False
                await self._stand_where_redis_does()
                await read_again(self._parts.policy)
                await self._check_everybody()
                if not self._again:
                    return
        finally:
            self._looking = False

    async def _stand_where_redis_does(self) -> None:
        """What was said up to now is found by looking; where Redis cannot say, the next check comes to it again."""
        before = self._heard
        try:
            said = await self._parts.store.presence.last_announced()
        except PushpullError:
            return
        # What was heard while Redis was asked may be later than its answer. What was heard before is not, unless a
        # failover took the last numbers back: then they are given anew, and those to come must not pass for heard.
        self._heard = said if self._heard == before else max(said, self._heard or 0)

    async def _check_everybody(self) -> None:
        await standing.check(self._parts)
        for uid in self._parts.peers.users():
            for peer in self._parts.peers.of(uid):
                try:
                    await peer.check_list()
                except PushpullError:
                    # It may have missed a conversation: with a new connection it gets the whole list again.
                    peer.close(codes.OVERLOADED, "the conversation list cannot be read now")
