"""Reads the owner wants told: kept until the service is sure to have them, for a cut connection may swallow one.

Bounded by the conversations: one seq each.
"""

from __future__ import annotations

from collections.abc import Callable


class Reads:
    def __init__(self) -> None:
        self._wanted: dict[str, int] = {}
        self._unconfirmed: dict[str, int] = {}  # sent; a cut connection may have swallowed them

    def want(self, cid: str, seq: int) -> None:
        """The user has read up to `seq`."""
        self._wanted[cid] = max(seq, self._wanted.get(cid, 0))

    def take(self, known: Callable[[str], bool]) -> dict[str, int]:
        """Those to send now, of conversations that are `known`."""
        due = {cid: seq for cid, seq in self._wanted.items() if known(cid)}
        for cid in due:
            del self._wanted[cid]
        self._unconfirmed.update(due)
        return due

    def on_row(self, cid: str, *, read: int, head: int) -> None:
        """A new session lists the conversation: what it has not heard of is wanted again."""
        seq = self._unconfirmed.pop(cid, 0)
        if read < seq <= head:
            self.want(cid, seq)

    def forget(self, cid: str) -> None:
        """What was read there is gone."""
        self._wanted.pop(cid, None)
        self._unconfirmed.pop(cid, None)

    def on_cursors(self, cid: str, read: int) -> None:
        """The service tells how far the user has read."""
        if read >= self._unconfirmed.get(cid, 0):
            self._unconfirmed.pop(cid, None)
