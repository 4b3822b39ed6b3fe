"""Before when a user's tokens are refused, remembered for a few seconds so that a request need not ask Redis."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Final, Protocol

from pushpull.model import Uid

KEPT_S: Final = 5.0  # an announcement makes it known at once; this is for the one that was lost
KEPT_MAX: Final = 50_000  # past it the oldest is asked for again


class RevocationStore(Protocol):
    async def revoked_before(self, uid: Uid) -> int | None: ...


class Revocations:
    def __init__(self, store: RevocationStore) -> None:
        self._store = store
        self._known: OrderedDict[Uid, tuple[float, int | None]] = OrderedDict()
        self._said = 0  # how often something was said about a user

    async def before(self, uid: Uid) -> int | None:
        """Tokens of `uid` issued before this (s since 1970) are refused; None: none are. Raises StoreUnavailable."""
        now = time.monotonic()
        known = self._known.get(uid)
        if known is not None and now - known[0] < KEPT_S:
            return known[1]
        said = -1
        while said != self._said:  # an answer that was overtaken by a revocation must not be kept
            said = self._said
            before = await self._store.revoked_before(uid)
        self._known[uid] = (now, before)
        self._known.move_to_end(uid)
        if len(self._known) > KEPT_MAX:
            self._known.popitem(last=False)
        return before

    def forget(self, uid: Uid) -> None:
        """Something was said about this user: ask again."""
        self._said += 1
        self._known.pop(uid, None)
