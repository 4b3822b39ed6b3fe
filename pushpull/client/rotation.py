"""Which of a service's nodes to talk to, and when all of them were tried. Pure: chance comes in as a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence


class Rotation:
    """The URLs of one service, in an order of this client's own, and the one in use.

    The order is drawn once: clients begin spread over the nodes, and those of a node that went away spread over the
    others. `chance` gives uniform numbers in [0, 1).
    """

    def __init__(self, urls: Sequence[str], chance: Callable[[], float]) -> None:
        self._urls = sorted(urls, key=lambda _: chance())
        self._at = 0
        self._failures = 0  # in a row

    def __len__(self) -> int:
        return len(self._urls)

    @property
    def current(self) -> str:
        """The URL in use, or to be tried next."""
        return self._urls[self._at]

    @property
    def rounds(self) -> int:
        """How often all of them have failed, one after the other."""
        return self._failures // len(self._urls)

    def failed(self, url: str) -> bool:
        """`url` was not reached, or its connection was lost: go to the next. True when that ends a round of all."""
        if url != self.current:  # somebody else who shares this has found it out already
            return False
        self.leave()
        self._failures += 1
        return self._failures % len(self._urls) == 0

    def leave(self) -> None:
        """Go to the next although this one did nothing wrong: it said that it goes away."""
        self._at = (self._at + 1) % len(self._urls)

    def worked(self) -> None:
        """The one in use does what it should: what failed before it is forgotten."""
        self._failures = 0
