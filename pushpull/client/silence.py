"""When a quiet connection is asked whether it lives, and when it counts as dead. Pure: `now` in steady seconds.

A node that was killed closes its connections; one that hangs says nothing at all, and by the heartbeat alone that is
noticed after a minute. So the device asks (`ping`): soon where somebody waits for an answer, seldom where nobody does,
for an idle device's ping is work for the node and for a phone's radio.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

QUIET_S: Final = 10.0
"""Without a frame for so long, a device pings. 15,000 idle ones are 1,500 pings a second, one or two percent of a
core."""
WAITING_QUIET_S: Final = 3.0
"""The same while a send or a request is unanswered."""
ANSWER_S: Final = 5.0
"""For the pong. Longer than a busy node or a bad line stalls, for a new connection costs both more than waiting."""


class Due(Enum):
    NOTHING = "nothing"
    PING = "ping"
    DEAD = "dead"


class Silence:
    """Of one connection, since when it has been quiet."""

    def __init__(self, now: float) -> None:
        self._heard_at = now
        self._asked_at: float | None = None

    def heard(self, at: float) -> None:
        """The last frame, of any kind, came then."""
        if at > self._heard_at:
            self._heard_at = at
            self._asked_at = None

    def due(self, now: float, *, waiting: bool) -> Due:
        """What to do now; PING once for each silence. `waiting`: something that was sent is unanswered."""
        if self._asked_at is not None:
            return Due.DEAD if now - self._asked_at >= ANSWER_S else Due.NOTHING
        if now - self._heard_at < (WAITING_QUIET_S if waiting else QUIET_S):
            return Due.NOTHING
        self._asked_at = now
        return Due.PING
