"""What is on the device's screen, as its owner says, and what follows for conversations that are not.

Until the owner says something, everything is as if it were on the screen: the device comes for whatever it is told of.
From then on it comes only for what is shown; of the rest it knows how much there is.
"""

from __future__ import annotations

from typing import Any, Final

FEATURE: Final = "focus"


class Screen:
    def __init__(self) -> None:
        self.said = False
        self.known = False  # this session's node makes something of it; one of a release before does not
        self._shows: str | None = None
        self._active = True
        self._unsent = False

    def show(self, cid: str | None, *, active: bool) -> None:
        """`cid` is on the screen from now on, None: no conversation is; not `active`: nobody looks at it."""
        self.said = self._unsent = True
        self._shows, self._active = cid, active

    def hides(self, cid: str) -> bool:
        """Whether the owner is known not to see this conversation."""
        return self.said and not (self._active and cid == self._shows)

    def hello(self) -> dict[str, Any]:
        """What a hello says of it."""
        self._unsent = False
        return {"focus": self._shows, "active": self._active} if self.said else {}

    def opened(self, features: Any) -> None:
        """A session is open, with these features."""
        self.known = isinstance(features, list) and FEATURE in features

    def take(self) -> list[dict[str, Any]]:
        """The frame to send now, where the last hello said something else."""
        if not (self._unsent and self.known):
            return []
        self._unsent = False
        return [{"type": "focus", "cid": self._shows, "active": self._active}]
