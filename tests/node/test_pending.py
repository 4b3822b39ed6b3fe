"""What is not acknowledged: noted in Redis off the delivery path, and shown row by row."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pushpull.delivery.place import Place
from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Cid, Head, Mode, Uid
from pushpull.node import pending
from pushpull.node.pending import PendingTable
from pushpull.store.values import PendingRow
from tests.delivery.words import DELIVERY, ROOM, log_id
from tests.node.fakes import Bench


class FakeTable:
    """The conversation's pending table: rows by device."""

    def __init__(self) -> None:
        self.held: dict[str, PendingRow] = {}
        self.problem: PushpullError | None = None

    async def note(self, cid: Cid, rows: Sequence[PendingRow]) -> None:
        self._answer()
        self.held |= {row.device: row for row in rows}

    async def drop(self, cid: Cid, uid: Uid, device: str) -> None:
        self._answer()
        self.held.pop(device, None)

    async def rows(self, cid: Cid, *, user: Uid | None) -> list[PendingRow]:
        return [row for row in self.held.values() if user in (None, row.user)]

    def _answer(self) -> None:
        if self.problem is not None:
            raise self.problem


@pytest.fixture
def held() -> FakeTable:
    return FakeTable()


@pytest.fixture
def table(held: FakeTable) -> PendingTable:
    store: Any = SimpleNamespace(pending=held)
    return PendingTable(store)


async def outstanding(bench: Bench, upto: int = 3) -> Place:
    """A device that was handed (0, upto] and has not acked."""
    bench.log.put(upto)
    feed = await bench.open()
    place = bench.attach(feed, at=0, mode=Mode.PUSH)
    place.window.extend(upto, log_id(upto), now=0.0, settings=DELIVERY)
    return place


async def test_a_range_sent_again_is_noted_until_the_ack(bench: Bench, table: PendingTable, held: FakeTable) -> None:
    place = await outstanding(bench)
    table.note(place)
    await table.flush()
    assert [(row.first, row.last) for row in held.held.values()] == [(1, 3)]

    table.drop(place)
    await table.flush()
    assert held.held == {}


async def test_a_place_that_was_never_noted_has_nothing_to_drop(
    bench: Bench, table: PendingTable, held: FakeTable
) -> None:
    place = await outstanding(bench)
    held.held["d0"] = pending.row_of(place, 0.0, 0.0)  # of its connection before this one

    table.drop(place)
    await table.flush()

    assert list(held.held) == ["d0"]


async def test_what_redis_did_not_take_waits_and_the_newest_state_is_written(
    bench: Bench, table: PendingTable, held: FakeTable
) -> None:
    place = await outstanding(bench)
    table.note(place)
    await table.flush()
    held.problem = StoreUnavailable("redis is away")
    table.drop(place)
    await table.flush()
    assert list(held.held) == ["d0"]

    held.problem = None
    await table.flush()

    assert held.held == {}


class FakeCursors:
    def __init__(self, *behind: tuple[str, int]) -> None:
        self._behind = behind

    async def behind(self, cid: Cid, *, below: int) -> AsyncIterator[list[tuple[Uid, int]]]:
        yield [(Uid(uid), delivered) for uid, delivered in self._behind if delivered < below]


async def rows_of(bench: Bench, held: FakeTable, *behind: tuple[str, int], limit: int = 10) -> list[dict[str, Any]]:
    async def head_of(cid: Cid) -> Head:
        return bench.log.head(cid)

    store = SimpleNamespace(
        pending=held, cursors=FakeCursors(*behind), log=bench.log, conversations=SimpleNamespace(head=head_of)
    )
    parts: Any = SimpleNamespace(**vars(bench.parts) | {"store": store})
    return await pending.rows(parts, ROOM, user=None, min_idle_ms=0, limit=limit)


async def test_a_member_whom_nothing_has_reached_is_shown_from_its_cursor_on(bench: Bench, held: FakeTable) -> None:
    bench.log.put(5)

    rows = await rows_of(bench, held, ("bob", 2), ("carol", 4), limit=10)

    assert [(row["user"], row["first"], row["last"], row["delivery_count"]) for row in rows] == [
        ("bob", 3, 5, 0),
        ("carol", 5, 5, 0),
    ]
    assert bench.log.batches == [2]


async def test_nobody_lacks_what_lies_below_the_floor(bench: Bench, held: FakeTable) -> None:
    bench.log.put(5)
    bench.log.meta[ROOM]["floor"] = 4
    assert [(row["user"], row["first"]) for row in await rows_of(bench, held, ("bob", 1))] == [("bob", 4)]

    bench.log.meta[ROOM]["floor"] = 6
    assert await rows_of(bench, held, ("bob", 1)) == []


async def test_a_device_of_this_node_is_shown_by_its_window(bench: Bench, held: FakeTable) -> None:
    place = await outstanding(bench)

    (row,) = await rows_of(bench, held, (place.device.uid, 0))

    assert (row["device"], row["first"], row["last"], row["delivery_count"]) == ("d0", 1, 3, 1)
