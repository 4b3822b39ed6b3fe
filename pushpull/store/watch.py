"""What the store tells of its own work, to whoever counts it."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Called in the loop, once a pipeline or less: it must not wait."""

    def exchanged(self, seconds: float, calls: int) -> None:
        """So many calls were sent together and all of them answered, or given up, after so long."""

    def tried_again(self, calls: int) -> None:
        """So many of them are sent once more."""

    def failed(self, reason: str) -> None:
        """One was given up; `reason` is one of a few words (store.refusals)."""

    def lost_bells(self) -> None:
        """A connection for doorbells was lost."""


class Nobody:
    """Does not care."""

    def exchanged(self, seconds: float, calls: int) -> None: ...

    def tried_again(self, calls: int) -> None: ...

    def failed(self, reason: str) -> None: ...

    def lost_bells(self) -> None: ...
