"""What a device says it has on its screen, and what that makes of each conversation."""

from __future__ import annotations

from pushpull.delivery.policy import Focus
from pushpull.model import Cid


class Screen:
    """Until something is said, nothing is known: a client that never says anything is served by size alone."""

    __slots__ = ("_shows", "said")

    def __init__(self) -> None:
        self.said = False
        self._shows: Cid | None = None

    def say(self, cid: Cid | None, *, active: bool) -> tuple[Cid, ...]:
        """`cid` is on the screen now, None: no conversation is. An app that is not active shows nothing.

        Returns the conversations for which that is another answer than before, provided that something was said
        before; else it is one for all of them.
        """
        before, self._shows = self._shows, cid if active else None
        self.said = True
        return tuple(touched for touched in (before, self._shows) if touched is not None and before != self._shows)

    def focus_on(self, cid: Cid) -> Focus:
        if not self.said:
            return Focus.UNSAID
        return Focus.HERE if cid == self._shows else Focus.ELSEWHERE
