"""Pending: rows noted at redelivery, and a summary counted from the cursors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from pushpull.errors import NoSuchConversation
from pushpull.model import Cid, Role, Uid
from pushpull.store import CursorMove, PendingRow, PendingSummary, Store
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import send_many


def noted(user: Uid, device: str, **changes: int) -> PendingRow:
    at = {"first": 3, "last": 7, "delivery_count": 2, "first_sent_ms": 1000, "last_sent_ms": 6000} | changes
    return PendingRow(user=user, device=device, session="s1", **at)


async def test_rows_come_back_longest_waiting_first(store: Store) -> None:
    rows = [noted(BOB, "phone"), noted(ALICE, "a b", first_sent_ms=500), noted(BOB, "tab", first_sent_ms=2000)]
    await store.pending.note(ROOM, rows)
    assert await store.pending.rows(ROOM) == [rows[1], rows[0], rows[2]]
    assert await store.pending.rows(ROOM, user=BOB) == [rows[0], rows[2]]
    assert await store.pending.rows(ROOM, user=CAROL) == []


async def test_a_later_note_takes_the_place_of_the_earlier(store: Store) -> None:
    await store.pending.note(ROOM, [noted(BOB, "phone")])
    await store.pending.note(ROOM, [noted(BOB, "phone", delivery_count=3)])
    assert await store.pending.rows(ROOM) == [noted(BOB, "phone", delivery_count=3)]


async def test_an_ack_drops_the_row(store: Store) -> None:
    await store.pending.note(ROOM, [noted(BOB, "phone"), noted(BOB, "tab")])
    await store.pending.drop(ROOM, BOB, "phone")
    assert [row.device for row in await store.pending.rows(ROOM)] == ["tab"]


async def test_rows_expire_an_hour_after_the_last(store: Store, client: Redis) -> None:
    await store.pending.note(ROOM, [noted(BOB, "phone")])
    assert 3_590_000 < await client.pttl("pp:{c:room}:pending") <= 3_600_000


async def test_the_summary_counts_what_is_not_delivered(store: Store) -> None:
    await send_many(store, 5)
    await store.cursors.flush({ROOM: [CursorMove(uid=BOB, delivered="3")]})
    assert await store.pending.summary(ROOM) == PendingSummary(7, 1, 5, [(CAROL, 5), (BOB, 2)])
    assert await store.pending.summary(ROOM, user=BOB) == PendingSummary(2, 4, 5, [(BOB, 2)])
    assert await store.pending.summary(ROOM, user=ALICE) == PendingSummary(0, None, None, [])


async def test_the_summary_of_nothing_is_empty(store: Store) -> None:
    assert await store.pending.summary(ROOM) == PendingSummary(0, None, None, [])
    with pytest.raises(NoSuchConversation):
        await store.pending.summary(Cid("nowhere"))


async def test_what_is_below_the_floor_is_not_pending(make_store: Callable[..., Store]) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(BOB, Role.MEMBER), (ALICE, Role.MEMBER)])
    await send_many(store, 10, own=False)
    assert await store.pending.summary(ROOM) == PendingSummary(6, 8, 10, [(ALICE, 3), (BOB, 3)])


async def test_the_summary_counts_all_and_names_a_hundred(store: Store) -> None:
    await store.members.add(ROOM, [(Uid(f"u{i}"), Role.MEMBER) for i in range(6000)])
    await send_many(store, 2)
    summary = await store.pending.summary(ROOM)
    assert (summary.count, len(summary.consumers)) == (2 * 6002, 100)
