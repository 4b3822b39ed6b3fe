"""Conversations taken out of the service, and brought into it.

Bounded: AT_ONCE of each on a node; each holds a page or a batch of lines, 1 MiB or so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from pushpull.errors import RateLimited
from pushpull.model import Cid
from pushpull.node.exporting import Exporting
from pushpull.node.importing import CheckSettings, Imported, Importing
from pushpull.settings import Limits
from pushpull.store.store import Store

AT_ONCE: Final = 8
BUSY_MS: Final = 5_000  # when to ask again


class Moving:
    def __init__(self, store: Store, limits: Limits) -> None:
        self._store = store
        self._limits = limits
        self._exports = 0
        self._imports = 0

    async def export(self, cid: Cid) -> AsyncIterator[bytes]:
        """The lines of a conversation, some at a time. Raises NoSuchConversation, RateLimited."""
        _check(self._exports, "exports")
        head = await self._store.conversations.head(cid)
        return self._counted(Exporting(self._store, cid, head))

    async def _counted(self, export: Exporting) -> AsyncIterator[bytes]:
        self._exports += 1
        try:
            async for piece in export.pieces():
                yield piece
        finally:
            self._exports -= 1

    async def bring_in(self, cid: Cid, chunks: AsyncIterator[bytes], check_settings: CheckSettings) -> Imported:
        """Make `cid` of the lines in `chunks`. May be repeated with the same file; see Importing."""
        _check(self._imports, "imports")
        self._imports += 1
        try:
            return await Importing(self._store.imports, cid, self._limits, check_settings).run(chunks)
        finally:
            self._imports -= 1


def _check(under_way: int, what: str) -> None:
    if under_way >= AT_ONCE:
        raise RateLimited(f"{under_way} {what} are under way on this node, the limit", retry_after_ms=BUSY_MS)
