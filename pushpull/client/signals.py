"""Signals on their way out: said now or never, so nothing here outlives a session.

Bounded: WAITING_MAX, of which the oldest is overtaken by what follows.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from pushpull.client.conversations import Conversations

WAITING_MAX: Final = 16
RID: Final = "signal"
"""Of every signal: one that was refused is not said again, so it need not be known which it was."""


class Signals:
    def __init__(self, held: Conversations) -> None:
        self._held = held
        self._waiting: deque[dict[str, Any]] = deque(maxlen=WAITING_MAX)

    def say(self, cid: str, body: Any) -> None:
        """Say something passing where it can be said now: in a conversation that this session has listed."""
        if cid in self._held.positions:
            self._waiting.append({"type": "signal", "cid": cid, "body": body, "rid": RID})

    def take(self) -> list[dict[str, Any]]:
        """The frames to send now."""
        frames = list(self._waiting)
        self._waiting.clear()
        return frames

    def clear(self) -> None:
        """The session is over."""
        self._waiting.clear()
