"""What is not acknowledged, as XPENDING shows it: the short form from the cursors, the long form row by row.

The rows come from three places: the conversation's pending table (ranges that had to be sent again, on any node),
the windows of this node (sent once, ack awaited), and the cursors (members whom nothing has reached yet).
"""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from pushpull.delivery.place import Place
from pushpull.errors import PushpullError
from pushpull.model import Cid, Uid
from pushpull.node.parts import Parts
from pushpull.store.store import Store
from pushpull.store.values import LogRead, PendingRow, ReadRequest

log = logging.getLogger(__name__)

WAITING_MAX: Final = 100_000


class PendingTable:
    """Writes redelivered ranges to Redis, off the delivery path: the newest state of each place.

    Bounded: one entry per place; past WAITING_MAX the newest are not noted (they are seen at their next redelivery).
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[tuple[Cid, Uid, str], PendingRow | None] = {}  # None: its row goes

    def note(self, place: Place) -> None:
        """What this place has outstanding was sent again."""
        if len(self._waiting) < WAITING_MAX:
            place.noted = True
            self._waiting[_key(place)] = row_of(place, time.monotonic(), time.time())

    def drop(self, place: Place) -> None:
        """The place acked: its row goes, if it has one."""
        if place.noted:
            place.noted = False
            self._waiting[_key(place)] = None

    async def flush(self) -> None:
        """Write what waits; where Redis does not take it, it waits on."""
        waiting, self._waiting = self._waiting, {}
        notes: dict[Cid, list[PendingRow]] = {}
        try:
            for (cid, uid, device), row in waiting.items():
                if row is None:
                    await self._store.pending.drop(cid, uid, device)
                else:
                    notes.setdefault(cid, []).append(row)
            for cid, rows in notes.items():
                await self._store.pending.note(cid, rows)
        except PushpullError as problem:
            log.debug("pending rows wait on: %s", problem.message)
            self._waiting = waiting | self._waiting


def row_of(place: Place, now: float, wall: float) -> PendingRow:
    """The row of a place with something outstanding. `now` monotonic, `wall` s since 1970."""
    window, device = place.window, place.device
    first_sent_ms = int((wall - (now - window.first_sent)) * 1000)
    return PendingRow(
        user=device.uid,
        device=device.name,
        session=device.session,
        first=window.acked + 1,
        last=window.sent,
        delivery_count=window.delivery_count,
        first_sent_ms=first_sent_ms,
        last_sent_ms=int(wall * 1000) if window.delivery_count > 1 else first_sent_ms,
    )


async def summary(parts: Parts, cid: Cid, user: Uid | None) -> dict[str, Any]:
    """XPENDING's short form: `consumers` are {user, count}, most behind first."""
    found = await parts.store.pending.summary(cid, user=user)
    consumers = [{"user": uid, "count": count} for uid, count in found.consumers]
    return {"count": found.count, "min": found.min, "max": found.max, "consumers": consumers}


async def rows(parts: Parts, cid: Cid, *, user: Uid | None, min_idle_ms: int, limit: int) -> list[dict[str, Any]]:
    """XPENDING's long form, the longest idle first. `delivery_count` 0: nothing of it was sent to a device yet."""
    now_ms = int(time.time() * 1000)
    found = {(row.user, row.device): row for row in _windows(parts, cid, user)}
    for row in await parts.store.pending.rows(cid, user=user):
        found.setdefault((row.user, row.device), row)
    answer = [_json(row, now_ms) for row in found.values()]
    answer += await _never_sent(parts, cid, user, {row.user for row in found.values()}, now_ms, limit)
    answer = [row for row in answer if row["idle_ms"] >= min_idle_ms]
    answer.sort(key=lambda row: -row["idle_ms"])
    return answer[:limit]


def _windows(parts: Parts, cid: Cid, user: Uid | None) -> list[PendingRow]:
    feed = parts.feeds.get(cid)
    now, wall = time.monotonic(), time.time()
    return [
        row_of(place, now, wall)
        for place in ((*feed.pushed, *feed.gathered) if feed is not None else ())
        if place.window.delivery_count and user in (None, place.device.uid)
    ]


async def _never_sent(
    parts: Parts, cid: Cid, user: Uid | None, known: set[Uid], now_ms: int, limit: int
) -> list[dict[str, Any]]:
    """Members who are behind and have no row: away, or told by a notice. Idle since what they lack was stored."""
    head = await parts.store.conversations.head(cid)
    behind: list[tuple[Uid, int]] = []
    async for chunk in parts.store.cursors.behind(cid, below=head.seq):
        # What lies below the floor is gone: nobody lacks it.
        there = [(uid, max(delivered, head.floor - 1)) for uid, delivered in chunk]
        behind += [(uid, at) for uid, at in there if at < head.seq and uid not in known and user in (None, uid)]
        if len(behind) >= limit:
            break
    del behind[limit:]
    stored_at = await _entry_times(parts, cid, {at for _, at in behind})
    return [
        {
            "user": uid,
            "device": "",
            "session": "",
            "first": at + 1,
            "last": head.seq,
            "idle_ms": max(0, now_ms - stored_at.get(at, now_ms)),
            "delivery_count": 0,
        }
        for uid, at in behind
    ]


async def _entry_times(parts: Parts, cid: Cid, after: set[int]) -> dict[int, int]:
    """cursor → when the first message above it was stored (ms)."""
    cursors = sorted(after)
    reads = await parts.store.log.read_many([ReadRequest(cid=cid, after=seq, limit=1) for seq in cursors])
    return {
        seq: read.entries[0].ts
        for seq, read in zip(cursors, reads, strict=True)
        if isinstance(read, LogRead) and read.entries
    }


def _json(row: PendingRow, now_ms: int) -> dict[str, Any]:
    return {
        "user": row.user,
        "device": row.device,
        "session": row.session,
        "first": row.first,
        "last": row.last,
        "idle_ms": max(0, now_ms - row.last_sent_ms),
        "delivery_count": row.delivery_count,
    }


def _key(place: Place) -> tuple[Cid, Uid, str]:
    return place.cid, place.device.uid, place.device.name
