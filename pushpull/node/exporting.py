"""A conversation as lines, a page at a time: what goes out of the service."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterable

from pushpull.delivery import transfer
from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Cid, Head, MovedMember
from pushpull.store.exports import ExportedHole, ExportPage
from pushpull.store.store import Store


class Exporting:
    """The log as it stands at `head`, then the members as they are when that is out. Holds one page at a time."""

    def __init__(self, store: Store, cid: Cid, head: Head) -> None:
        self._store = store
        self._cid = cid
        self._head = head
        self._sha256 = hashlib.sha256()
        self._end = transfer.End(messages=0)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Whole lines, some at a time. An error on the way is the last line, in place of the end."""
        try:
            yield self._summed([transfer.conversation_line(self._cid, self._head)])
            async for page in self._pages():
                yield self._summed(page)
            async for members in self._members():
                yield self._summed(map(transfer.member_line, members))
        except PushpullError as error:
            yield transfer.failure_line(error)
            return
        self._end.sha256 = self._sha256.hexdigest()
        yield transfer.encoded(self._end)

    async def _pages(self) -> AsyncIterator[list[bytes]]:
        at, head = self._head.floor, self._head.seq
        while at <= head:
            page = await self._store.exports.page(self._cid, first=at, upto=head)
            if page.epoch != self._head.epoch:
                raise StoreUnavailable("the log became another one meanwhile, by a failover: export it again")
            yield self._lines(page, at)
            at = max(page.upto, page.floor - 1) + 1

    def _lines(self, page: ExportPage, first: int) -> list[bytes]:
        """The lines of a page; where retention was faster than the export, one that says so is before them."""
        lines = [transfer.encoded(transfer.Floor(floor=page.floor))] if page.floor > first else []
        for part in page.parts:
            if isinstance(part, ExportedHole):
                self._end.redacted += 1
                lines.append(transfer.redacted_line(part.seq, part.id, quiet=part.quiet))
            else:
                self._end.messages += 1
                lines.append(transfer.message_line(part.entry, part.edited, part.latest))
        return lines

    async def _members(self) -> AsyncIterator[list[MovedMember]]:
        last: MovedMember | None = None
        while members := await self._store.exports.members(self._cid, after=last, head=self._head.seq):
            self._end.members += len(members)
            yield members
            last = members[-1]

    def _summed(self, lines: Iterable[bytes]) -> bytes:
        piece = b"".join(lines)
        self._sha256.update(piece)
        return piece
