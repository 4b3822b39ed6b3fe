"""Acks and reads wait here for up to `cursor_flush_ms` and go to Redis together, with the log ids they mean.

Many acks of one user in one conversation become one move; many users of one conversation become one script call.
What Redis did not take stays and goes with the next flush: a cursor that is late costs a redelivery, nothing else.

Each lane is written by itself: a shard that is away keeps no other's cursors waiting.

Bounded by the places of this node: one entry per user and conversation, whatever the number of acks.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

from pushpull.errors import PushpullError
from pushpull.model import Cid, Cursors, Uid, seq_of
from pushpull.node.background import Background
from pushpull.node.lanes import Lane, one_lane
from pushpull.node.metrics import Metrics
from pushpull.store.values import CursorMove

log = logging.getLogger(__name__)

RETRY_S: Final = 0.5

Moved = Callable[[Cid, Uid, Cursors], None]
Asked = Callable[[Cid, Iterable[Uid]], bool]


class CursorStore(Protocol):
    async def flush(
        self, moves: Mapping[Cid, Sequence[CursorMove]], *, ring: Collection[Cid] = ()
    ) -> Mapping[Cid, Sequence[Cursors | None] | PushpullError]: ...


class CursorWriter:
    def __init__(
        self,
        store: CursorStore,
        metrics: Metrics,
        background: Background,
        *,
        flush_ms: int,
        moved: Moved,
        asked: Asked = lambda cid, who: False,
        lane: Lane = one_lane,
    ) -> None:
        """`moved` is called for each user whose cursors moved, after they did.

        `asked`: whether others want to hear of these users' cursors in a conversation; then its bell is rung.
        """
        self._store = store
        self._metrics = metrics
        self._background = background
        self.flush_s = flush_ms / 1000  # may be changed
        self._moved = moved
        self._asked = asked
        self._lane = lane
        self._lanes: dict[int, _LaneWriter] = {}

    def move(self, cid: Cid, uid: Uid, *, delivered: str | None = None, read: str | None = None) -> None:
        """Move forward, later. Each cursor is a log id, or a bare seq where the id is not at hand.

        Neither: where the user stands is rung for whoever asked.
        """
        lane = self._lane(cid)
        writer = self._lanes.get(lane)
        if writer is None:
            writer = _LaneWriter(
                self._store, self._metrics, self._background, lambda: self.flush_s, self._moved, self._asked
            )
            self._lanes[lane] = writer
        writer.move(cid, uid, delivered, read)

    @property
    def waiting(self) -> int:
        """Moves that are not on their way yet."""
        return sum(writer.count for writer in self._lanes.values())

    async def flush(self) -> bool:
        """Write what waits now; False when Redis did not take all of it (that waits on)."""
        return all(await asyncio.gather(*(writer.flush() for writer in self._lanes.values())))


class _LaneWriter:
    """What waits in one lane, and the task that writes it."""

    def __init__(
        self,
        store: CursorStore,
        metrics: Metrics,
        background: Background,
        flush_s: Callable[[], float],
        moved: Moved,
        asked: Asked,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._background = background
        self._flush_s = flush_s
        self._moved = moved
        self._asked = asked
        self._waiting: dict[Cid, dict[Uid, CursorMove]] = {}
        self._timer: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()

    @property
    def count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def move(self, cid: Cid, uid: Uid, delivered: str | None, read: str | None) -> None:
        users = self._waiting.setdefault(cid, {})
        known = users.get(uid)
        if known is not None:
            delivered = _later(known.delivered, delivered)
            read = _later(known.read, read)
        users[uid] = CursorMove(uid=uid, delivered=delivered, read=read)
        if self._timer is None:
            self._timer = self._background.spawn(self._flush_later(), "cursor-flush")

    async def flush(self) -> bool:
        async with self._flushing:
            waiting, self._waiting = self._waiting, {}
            if not waiting:
                return True
            moves = {cid: list(users.values()) for cid, users in waiting.items()}
            results = await self._flush(moves)
            failed = {cid: moves[cid] for cid, after in results.items() if isinstance(after, PushpullError)}
            self._put_back(failed)
        for cid, after in results.items():
            if not isinstance(after, PushpullError):
                self._tell(cid, moves[cid], after)
        return not failed

    async def _flush(
        self, moves: Mapping[Cid, Sequence[CursorMove]]
    ) -> Mapping[Cid, Sequence[Cursors | None] | PushpullError]:
        try:
            ring = {cid for cid, users in moves.items() if self._asked(cid, (move.uid for move in users))}
            results = await self._store.flush(moves, ring=ring)
        except PushpullError as problem:
            results = dict.fromkeys(moves, problem)
        problems = [after for after in results.values() if isinstance(after, PushpullError)]
        if problems:
            log.warning("cursors of %s conversations wait on: %s", len(problems), problems[0].message)
        return results

    def _tell(self, cid: Cid, moves: Sequence[CursorMove], after: Sequence[Cursors | None]) -> None:
        for move, cursors in zip(moves, after, strict=True):
            if cursors is not None:
                self._metrics.cursor_flushes.inc()
                self._moved(cid, move.uid, cursors)

    async def _flush_later(self) -> None:
        """Flush until nothing waits; the last move of a burst waits as long as the first."""
        try:
            while self._waiting:
                await asyncio.sleep(self._flush_s())
                if not await self.flush():
                    await asyncio.sleep(RETRY_S)
        finally:
            self._timer = None

    def _put_back(self, moves: Mapping[Cid, Sequence[CursorMove]]) -> None:
        for cid, users in moves.items():
            waiting = self._waiting.setdefault(cid, {})
            for move in users:
                newer = waiting.get(move.uid)
                if newer is not None:
                    move = CursorMove(
                        uid=move.uid,
                        delivered=_later(move.delivered, newer.delivered),
                        read=_later(move.read, newer.read),
                    )
                waiting[move.uid] = move


def _later(one: str | None, other: str | None) -> str | None:
    if one is None or other is None:
        return one or other
    return other if seq_of(other) >= seq_of(one) else one
