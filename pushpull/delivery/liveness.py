"""Whether the other side of a connection lives: what was heard of it and said to it, and what time alone makes due.

Quiet either way is a reason to ping: the peer must hear us to know that we live, and answer us so that we know it does.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

HEARTBEAT_S: Final = 25.0  # below the 30 to 60 s after which proxies and NATs forget an idle connection
SILENCE_S: Final = 2.5 * HEARTBEAT_S


class Due(Enum):
    PING = "ping"
    EXPIRED = "its token is no longer good"
    SILENT = "it has said nothing for SILENCE_S"


class Liveness:
    __slots__ = ("_due", "_last_ping", "_last_received", "_last_sent", "since")

    def __init__(self, now: float) -> None:
        self.since = now
        self._last_received = self._last_sent = self._last_ping = now
        self._due = 0.0  # thousands of sessions are ticked, and hardly ever one has something to say

    def heard(self, now: float) -> None:
        """A frame came."""
        self._last_received = now

    def said(self, now: float) -> None:
        """Something was written."""
        self._last_sent = now

    def look_again(self) -> None:
        """What the last look said of the time to come holds no more: another token, another phase."""
        self._due = 0.0

    def waits(self, now: float) -> bool:
        """Whether it is known that nothing is due."""
        return now < self._due

    def due(self, now: float, *, expires_at: float | None) -> Due | None:
        """What is due. A ping counts as said."""
        if expires_at is not None and now >= expires_at:
            return Due.EXPIRED
        if now - self._last_received >= SILENCE_S:
            return Due.SILENT
        quiet_since = min(self._last_sent, self._last_received)
        if now - quiet_since >= HEARTBEAT_S and now - self._last_ping >= HEARTBEAT_S:
            self._last_sent = self._last_ping = now
            return Due.PING
        self._due = self._next_due(expires_at)
        return None

    def _next_due(self, expires_at: float | None) -> float:
        """No look before this one finds anything due, whatever is sent and received until then."""
        quiet_since = max(min(self._last_sent, self._last_received), self._last_ping)
        due = min(quiet_since + HEARTBEAT_S, self._last_received + SILENCE_S)
        return due if expires_at is None else min(due, expires_at)
