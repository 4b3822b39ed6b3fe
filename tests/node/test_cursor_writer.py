"""Acks and reads wait a little and go to the store together. Here they wait 1 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

import pytest

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Cid, Cursors, Uid
from pushpull.node.background import Background
from pushpull.node.cursor_writer import CursorWriter
from pushpull.node.metrics import Metrics
from pushpull.store.values import CursorMove
from tests.delivery.words import ALICE, ROOM, log_id

BOB = Uid("bob")
OTHER = Cid("other")


class Cursor:
    """Takes every move; `still` are those whose cursors do not."""

    def __init__(self) -> None:
        self.flushes: list[dict[Cid, list[CursorMove]]] = []
        self.rung: list[set[Cid]] = []
        self.problem: StoreUnavailable | None = None
        self.tries = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.still: set[Uid] = set()

    async def flush(
        self, moves: Mapping[Cid, Sequence[CursorMove]], *, ring: Collection[Cid] = ()
    ) -> dict[Cid, list[Cursors | None]]:
        self.tries += 1
        self.rung.append(set(ring))
        await self.hold.wait()
        if self.problem is not None:
            raise self.problem
        self.flushes.append({cid: list(users) for cid, users in moves.items()})
        moved = Cursors(1, 1, 0, 1)
        return {cid: [None if move.uid in self.still else moved for move in users] for cid, users in moves.items()}


@pytest.fixture
async def store() -> Cursor:
    return Cursor()


@pytest.fixture
async def told() -> list[tuple[Cid, Uid]]:
    return []


@pytest.fixture
async def background() -> Background:
    return Background()


@pytest.fixture
async def writer(store: Cursor, background: Background, told: list[tuple[Cid, Uid]]) -> CursorWriter:
    return CursorWriter(
        store, Metrics(), background, flush_ms=1, moved=lambda cid, uid, cursors: told.append((cid, uid))
    )


async def passed(store: Cursor, flushes: int) -> None:
    """Wait until so many flushes were taken."""
    async with asyncio.timeout(5):
        while len(store.flushes) < flushes:
            await asyncio.sleep(0.001)


async def test_many_acks_of_one_user_become_one_move(writer: CursorWriter, store: Cursor) -> None:
    for seq in (1, 2, 3):
        writer.move(ROOM, ALICE, delivered=log_id(seq))
    writer.move(ROOM, ALICE, read="2")
    await passed(store, 1)

    assert store.flushes == [{ROOM: [CursorMove(uid=ALICE, delivered=log_id(3), read="2")]}]


async def test_many_users_and_conversations_go_in_one_flush(
    writer: CursorWriter, store: Cursor, told: list[tuple[Cid, Uid]]
) -> None:
    writer.move(ROOM, ALICE, delivered="1")
    writer.move(OTHER, ALICE, read="1")
    writer.move(ROOM, BOB, delivered="2")
    await passed(store, 1)

    assert [(cid, [move.uid for move in users]) for cid, users in store.flushes[0].items()] == [
        (ROOM, [ALICE, BOB]),
        (OTHER, [ALICE]),
    ]
    assert told == [(ROOM, ALICE), (ROOM, BOB), (OTHER, ALICE)]


async def test_a_move_back_does_not_take_a_later_one_away(writer: CursorWriter, store: Cursor) -> None:
    writer.move(ROOM, ALICE, delivered=log_id(10))
    writer.move(ROOM, ALICE, delivered=log_id(9))
    await writer.flush()

    assert store.flushes[0][ROOM] == [CursorMove(uid=ALICE, delivered=log_id(10))]


async def test_of_two_ids_at_one_seq_the_later_said_counts(writer: CursorWriter, store: Cursor) -> None:
    """The log lost its tail in between: the first would not be applied."""
    writer.move(ROOM, ALICE, delivered=log_id(9))
    writer.move(ROOM, ALICE, delivered=log_id(9, digest=1))
    await writer.flush()

    assert store.flushes[0][ROOM] == [CursorMove(uid=ALICE, delivered=log_id(9, 1))]


async def test_only_those_whose_cursors_moved_are_told(
    writer: CursorWriter, store: Cursor, told: list[tuple[Cid, Uid]]
) -> None:
    store.still = {BOB}
    writer.move(ROOM, ALICE, delivered="1")
    writer.move(ROOM, BOB, delivered="1")
    assert await writer.flush()

    assert told == [(ROOM, ALICE)]


async def test_what_comes_during_a_flush_goes_with_the_next(writer: CursorWriter, store: Cursor) -> None:
    writer.move(ROOM, ALICE, delivered="1")
    store.hold.clear()
    async with asyncio.timeout(5):
        while not store.tries:
            await asyncio.sleep(0.001)
    writer.move(ROOM, ALICE, delivered="2")
    store.hold.set()
    await passed(store, 2)

    assert [flush[ROOM][0].delivered for flush in store.flushes] == ["1", "2"]


async def test_what_the_store_did_not_take_waits_on_and_later_moves_win(writer: CursorWriter, store: Cursor) -> None:
    writer.move(ROOM, ALICE, delivered=log_id(5), read="9")
    writer.move(ROOM, BOB, delivered=log_id(1))
    store.problem = StoreUnavailable("redis is away")
    store.hold.clear()
    flushing = asyncio.create_task(writer.flush())
    await asyncio.sleep(0)
    writer.move(ROOM, ALICE, delivered=log_id(7), read="8")
    store.hold.set()
    assert not await flushing

    store.problem = None
    assert await writer.flush()

    moves = {move.uid: move for move in store.flushes[-1][ROOM]}
    assert moves[ALICE] == CursorMove(uid=ALICE, delivered=log_id(7), read="9")
    assert moves[BOB].delivered == log_id(1)


async def test_while_redis_is_away_one_task_tries_again_until_it_is_back(writer: CursorWriter, store: Cursor) -> None:
    store.problem = StoreUnavailable("redis is away")
    for seq in range(1, 6):
        writer.move(ROOM, ALICE, delivered=str(seq))
        await asyncio.sleep(0.003)
    flushers = [task for task in asyncio.all_tasks() if task.get_name() == "cursor-flush"]
    assert len(flushers) == 1
    assert store.tries > 1

    store.problem = None
    await passed(store, 1)

    assert store.flushes[0][ROOM] == [CursorMove(uid=ALICE, delivered="5")]
    await asyncio.gather(*flushers)


async def test_after_a_flush_the_next_move_starts_another(writer: CursorWriter, store: Cursor) -> None:
    for seq in (1, 2):
        writer.move(ROOM, ALICE, delivered=str(seq))
        await passed(store, seq)

    assert [flush[ROOM][0].delivered for flush in store.flushes] == ["1", "2"]


async def test_a_flush_of_nothing_asks_nobody(writer: CursorWriter, store: Cursor) -> None:
    assert await writer.flush()
    assert store.tries == 0


async def test_a_lane_that_is_held_up_keeps_no_others_cursors_waiting(
    store: Cursor, told: list[tuple[Cid, Uid]]
) -> None:
    class Shards:
        async def flush(
            self, moves: Mapping[Cid, Sequence[CursorMove]], *, ring: Collection[Cid] = ()
        ) -> dict[Cid, list[Cursors | None]]:
            if ROOM in moves:
                await store.hold.wait()
            return await store.flush(moves) if ROOM in moves else {cid: [Cursors(1, 1, 0, 1)] for cid in moves}

    store.hold.clear()
    writer = CursorWriter(
        Shards(),
        Metrics(),
        Background(),
        flush_ms=1,
        moved=lambda cid, uid, cursors: told.append((cid, uid)),
        lane=lambda cid: len(cid),
    )
    writer.move(ROOM, ALICE, delivered="1")
    writer.move(OTHER, BOB, delivered="1")

    async with asyncio.timeout(5):
        while (OTHER, BOB) not in told:
            await asyncio.sleep(0.001)

    assert told == [(OTHER, BOB)]
    store.hold.set()
    assert await writer.flush()


async def test_a_conversation_that_was_refused_waits_on_and_the_others_are_told(
    told: list[tuple[Cid, Uid]],
) -> None:
    class HalfAway:
        away = True

        async def flush(
            self, moves: Mapping[Cid, Sequence[CursorMove]], *, ring: Collection[Cid] = ()
        ) -> dict[Cid, list[Cursors | None] | PushpullError]:
            refused = StoreUnavailable("redis is away")
            return {cid: refused if self.away and cid == ROOM else [Cursors(1, 1, 0, 1)] for cid in moves}

    half = HalfAway()
    writer = CursorWriter(
        half, Metrics(), Background(), flush_ms=10_000, moved=lambda cid, uid, cursors: told.append((cid, uid))
    )
    writer.move(ROOM, ALICE, delivered="1")
    writer.move(OTHER, BOB, delivered="1")

    assert not await writer.flush()
    assert told == [(OTHER, BOB)]
    half.away = False
    assert await writer.flush()
    assert told == [(OTHER, BOB), (ROOM, ALICE)]
    for task in asyncio.all_tasks():
        if task.get_name() == "cursor-flush":
            task.cancel()


async def test_the_bell_is_rung_where_somebody_asked(store: Cursor) -> None:
    writer = CursorWriter(
        store,
        Metrics(),
        Background(),
        flush_ms=1,
        moved=lambda *what: None,
        asked=lambda cid, who: (cid, list(who)) == (OTHER, [ALICE]),
    )

    writer.move(ROOM, ALICE, delivered="1")
    writer.move(OTHER, ALICE, delivered="1")
    await writer.flush()

    assert store.rung == [{OTHER}]


async def test_a_writer_that_was_stopped_does_not_go_on_asking(
    writer: CursorWriter, background: Background, store: Cursor
) -> None:
    store.problem = StoreUnavailable("redis is away")
    writer.move(ROOM, ALICE, delivered="1")
    while store.tries == 0:
        await asyncio.sleep(0.001)

    await background.stop()
    writer.move(ROOM, BOB, delivered="1")  # was on its way
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert "cursor-flush" not in {task.get_name() for task in asyncio.all_tasks()}
