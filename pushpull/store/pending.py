"""XPENDING's two forms: rows noted at a redelivery, and a summary counted from the cursors.

A row is written at the first redelivery and not before, so the good path writes nothing; it goes with the ack, with
the device's next hello, or an hour after the last one was written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from pushpull.errors import no_such_conversation
from pushpull.model import Cid, Uid
from pushpull.store.cursors import CursorTable
from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg, Wire
from pushpull.store.values import PendingRow, PendingSummary

EXPIRES_MS: Final = 3_600_000
SCAN_COUNT: Final = 1000
MOST_CONSUMERS: Final = 100


class _Noted(msgspec.Struct, frozen=True):
    session: str
    first: int
    last: int
    delivery_count: int
    first_sent_ms: int
    last_sent_ms: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Noted).decode


class Pending:
    """What was sent to devices again and is not acked, and how far behind members are."""

    def __init__(self, wire: Wire, keys: Keys, cursors: CursorTable) -> None:
        self._wire = wire
        self._keys = keys
        self._cursors = cursors

    async def note(self, cid: Cid, rows: Sequence[PendingRow]) -> None:
        """Write rows, one per user and device: a later one takes the place of an earlier."""
        if not rows:
            return
        key = self._keys.pending(cid)
        values: list[Arg] = []
        for row in rows:
            noted = _Noted(row.session, row.first, row.last, row.delivery_count, row.first_sent_ms, row.last_sent_ms)
            values += (f"{row.user} {row.device}", _encode(noted))
        await self._wire.commands([("HSET", key, *values), ("PEXPIRE", key, EXPIRES_MS)], again=True)

    async def drop(self, cid: Cid, uid: Uid, device: str) -> None:
        """Forget the row of one device, if there is one."""
        await self._wire.command("HDEL", self._keys.pending(cid), f"{uid} {device}", again=True)

    async def rows(self, cid: Cid, *, user: Uid | None = None) -> list[PendingRow]:
        """The rows noted, of `user` alone if named; longest without an ack first. Empty where there are none."""
        found = {row async for row in self._scan(cid, user)}
        return sorted(found, key=lambda row: (row.first_sent_ms, row.user, row.device))

    async def _scan(self, cid: Cid, user: Uid | None) -> AsyncIterator[PendingRow]:
        cursor = 0
        while True:
            found = await self._wire.command(
                "HSCAN", self._keys.pending(cid), cursor, "MATCH", f"{user or '*'} *", "COUNT", SCAN_COUNT, again=True
            )
            cursor, fields = int(found[0]), found[1]
            for field, value in zip(fields[::2], fields[1::2], strict=True):
                yield _row(field, value)
            if cursor == 0:
                return

    async def summary(self, cid: Cid, *, user: Uid | None = None) -> PendingSummary:
        """How many copies are not delivered, of `user` alone if named, counted over all members in chunks.

        A member lacks (max(delivered, floor - 1), head]. Raises NoSuchConversation.
        """
        if user is not None:
            return await self._summary_of(cid, user)
        head, floor = await self._head_and_floor(cid)
        count, lowest = 0, head
        consumers: list[tuple[Uid, int]] = []
        async for rows in self._cursors.behind(cid, below=head):
            for uid, delivered in rows:
                stands = max(delivered, floor - 1)
                if stands < head:
                    count += head - stands
                    lowest = min(lowest, stands)
                    if len(consumers) < MOST_CONSUMERS:
                        consumers.append((uid, head - stands))
        return PendingSummary(count, lowest + 1, head, consumers) if count else PendingSummary(0, None, None, [])

    async def _summary_of(self, cid: Cid, user: Uid) -> PendingSummary:
        head, floor = await self._head_and_floor(cid)
        delivered = await self._wire.command("ZSCORE", self._keys.delivered(cid), user, again=True)
        stands = head if delivered is None else max(int(delivered), floor - 1)
        if stands >= head:
            return PendingSummary(0, None, None, [])
        return PendingSummary(head - stands, stands + 1, head, [(user, head - stands)])

    async def _head_and_floor(self, cid: Cid) -> tuple[int, int]:
        head, floor = await self._wire.command("HMGET", self._keys.meta(cid), "seq", "floor", again=True)
        if head is None:
            raise no_such_conversation(cid)
        return int(head), int(floor)


def _row(field: bytes, value: bytes) -> PendingRow:
    uid, _, device = field.decode().partition(" ")
    noted = _decode(value)
    return PendingRow(
        user=Uid(uid),
        device=device,
        session=noted.session,
        first=noted.first,
        last=noted.last,
        delivery_count=noted.delivery_count,
        first_sent_ms=noted.first_sent_ms,
        last_sent_ms=noted.last_sent_ms,
    )
