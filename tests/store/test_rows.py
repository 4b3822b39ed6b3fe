"""Rows: a conversation as one member sees it, and where a device begins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from pushpull.errors import StoreUnavailable
from pushpull.model import Cid, LogId, Role, Row, Uid
from pushpull.store import CursorMove, PendingRow, RowRequest, Store
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import send, send_many
from tests.store.planting import id_at, lose_tail, plant


async def row(store: Store, uid: Uid = BOB, position: str | None = None, **options: Any) -> Row:
    wanted = RowRequest(ROOM, None if position is None else LogId(position))
    found = (await store.conversations.rows(uid, [wanted], **options))[0]
    assert found is not None
    return found


async def read_up_to(store: Store, seq: int, uid: Uid = BOB) -> None:
    await store.cursors.flush({ROOM: [CursorMove(uid=uid, read=str(seq), delivered=str(seq))]})


async def test_a_row_of_an_empty_conversation(store: Store) -> None:
    found = await row(store)
    assert (found.cid, found.role, found.joined, found.delivered, found.read) == ("room", "moderator", 0, 0, 0)
    assert (found.unread, found.mentions, found.start, found.reset) == (0, 0, "0-0", None)


async def test_strangers_and_unknown_conversations_have_no_row(store: Store) -> None:
    wanted = [RowRequest(ROOM), RowRequest(Cid("nowhere"))]
    assert await store.conversations.rows(Uid("mallory"), wanted) == [None, None]
    known, unknown = await store.conversations.rows(BOB, wanted)
    assert (known is None, unknown) == (False, None)


async def test_unread_leaves_quiet_messages_out(store: Store) -> None:
    await send_many(store, 4)
    await send(store, "q1", quiet=True)
    await send(store, "m5")
    assert (await row(store)).unread == 5
    await read_up_to(store, 4)
    assert (await row(store)).unread == 1
    await read_up_to(store, 6)
    assert (await row(store)).unread == 0


async def test_unread_begins_at_joining(store: Store) -> None:
    await send_many(store, 4)
    await store.members.add(ROOM, [(Uid("dave"), Role.MEMBER)])
    await send(store, "after")
    found = await row(store, Uid("dave"))
    assert (found.joined, found.delivered, found.read, found.unread) == (4, 4, 4, 1)


async def test_unread_begins_at_the_floor(make_store: Callable[..., Store]) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MEMBER)])
    await send_many(store, 10)
    assert (await row(store)).unread == 3


async def test_mentions_above_the_read_cursor_are_counted(store: Store) -> None:
    await send(store, "m1", mentions=("bob",))
    await send(store, "m2", mentions=("carol", "bob"))
    await send(store, "m3", mentions=("*",))
    await send(store, "m4", mentions=("bobby", "carol"))
    await send(store, "m5", mentions=("bob",), quiet=True)
    assert ((await row(store)).mentions, (await row(store, CAROL)).mentions) == (3, 3)
    await read_up_to(store, 1)
    assert (await row(store)).mentions == 2


async def test_a_device_that_names_no_position_begins_where_it_is_told(store: Store) -> None:
    ids = await send_many(store, 5)
    await read_up_to(store, 2)
    assert (await row(store)).start == ids[1]
    assert (await row(store, unnamed="all")).start == "0-0"
    assert (await row(store, unnamed="head")).start == ids[4]


async def test_a_known_position_is_where_a_device_begins(store: Store) -> None:
    ids = await send_many(store, 5)
    found = await row(store, position=ids[2])
    assert (found.start, found.reset) == (ids[2], None)
    await send(store, "redact:3", kind="redact", ref=3, quiet=True)
    found = await row(store, position=ids[2])
    assert (found.start, found.reset) == (ids[2], None)


async def test_a_start_on_a_redacted_entry_has_its_id(store: Store) -> None:
    ids = await send_many(store, 5)
    await send(store, "redact:2", kind="redact", ref=2, quiet=True)
    await read_up_to(store, 2)
    assert (await row(store)).start == ids[1]


async def test_one_far_behind_begins_at_the_head(store: Store) -> None:
    ids = await send_many(store, 5)
    assert (await row(store, position=ids[1], max_backlog=3)).start == ids[1]
    assert (await row(store, position=ids[1], max_backlog=2)).start == ids[4]
    assert (await row(store, max_backlog=0)).start == ids[4]


async def test_a_position_below_the_floor_is_trimmed(make_store: Callable[..., Store]) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MEMBER)])
    ids = await send_many(store, 10)
    found = await row(store, position=ids[3])
    assert (found.start, found.reset) == (ids[6], "trimmed")
    unnamed = await row(store)
    assert (unnamed.start, unnamed.reset) == (ids[6], None)


async def test_a_start_right_below_the_floor_is_made_up_when_its_entry_is_gone(store: Store, client: Redis) -> None:
    await send_many(store, 5)
    await client.hset("pp:{c:room}:meta", "floor", 4)
    await client.xtrim("pp:{c:room}:log", minid="4", approximate=False)
    found = await row(store)
    assert found.start == "3-0"
    assert (await row(store, position=found.start)).reset is None


async def test_a_diverged_position_begins_at_the_common_id_whatever_the_backlog(store: Store, client: Redis) -> None:
    hour = 1_700_000_000_000
    await plant(client, [id_at(seq, hour + 10_000 * seq) for seq in range(1, 10)])
    found = await row(store, position=id_at(7, hour + 60_000, digest=9), max_backlog=1)
    assert (found.start, found.reset) == (id_at(5, hour + 50_000), "diverged")


async def test_a_position_on_a_lost_tail_has_diverged(store: Store, client: Redis) -> None:
    ids = await send_many(store, 5)
    await lose_tail(client, ids[2])
    assert (await row(store, position=ids[4])).reset == "diverged"


async def test_history_from_joining_on_hides_what_was_before(store: Store) -> None:
    await store.conversations.put(ROOM, {"history": "joined"})
    ids = await send_many(store, 4)
    await store.members.add(ROOM, [(Uid("dave"), Role.MEMBER)])
    await send(store, "after")
    assert (await row(store, Uid("dave"), unnamed="all")).start == ids[3]
    named = await row(store, Uid("dave"), position=ids[1])
    assert (named.start, named.reset) == (ids[3], "trimmed")
    assert (await row(store, unnamed="all")).start == "0-0"


@pytest.mark.parametrize(("device", "left"), [("phone", []), ("tablet", ["phone"]), ("", ["phone"])])
async def test_a_hello_drops_what_was_pending_for_its_device(store: Store, device: str, left: list[str]) -> None:
    noted = PendingRow(
        user=BOB, device="phone", session="s1", first=1, last=2, delivery_count=2, first_sent_ms=1, last_sent_ms=2
    )
    await store.pending.note(ROOM, [noted])
    await row(store, device=device)
    assert [each.device for each in await store.pending.rows(ROOM)] == left


async def test_five_hundred_rows_come_in_order(store: Store) -> None:
    cids = [Cid(f"c{i}") for i in range(500)]
    for cid in cids[:3]:
        await store.conversations.put(cid, {}, members=[(BOB, Role.MEMBER)])
    found = await store.conversations.rows(BOB, [RowRequest(cid) for cid in cids])
    assert [each.cid for each in found if each] == ["c0", "c1", "c2"]


async def delivered(store: Store, uid: Uid = BOB) -> int:
    cursors = await store.cursors.get(ROOM, uid)
    assert cursors is not None
    return cursors.delivered


async def test_a_known_position_moves_the_delivered_cursor(store: Store) -> None:
    ids = await send_many(store, 5)
    await read_up_to(store, 2)
    moved = await row(store, position=ids[3])
    assert (moved.delivered, moved.delivered_before) == (4, 2)
    assert await delivered(store) == 4
    stays = await row(store, position=ids[2])
    assert (stays.delivered, stays.delivered_before) == (4, 4)
    await send(store, "redact:5", kind="redact", ref=5, quiet=True)
    await row(store, position=ids[4])
    assert (await delivered(store), await delivered(store, CAROL)) == (5, 0)


async def test_a_position_that_means_nothing_here_moves_no_cursor(
    make_store: Callable[..., Store], client: Redis
) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MEMBER)])
    ids = await send_many(store, 10)
    assert (await row(store, position=ids[3])).reset == "trimmed"
    await lose_tail(client, ids[8])
    assert (await row(store, position=ids[9])).reset == "diverged"
    assert (await row(store)).reset is None
    assert await delivered(store) == 0


async def test_devices_that_ask_together_get_each_its_own_row(store: Store) -> None:
    ids = await send_many(store, 4)
    await read_up_to(store, 1)
    await store.conversations.put(Cid("other"), {}, members=[(CAROL, Role.MEMBER)])
    asked = [
        (BOB, [RowRequest(ROOM, ids[2]), RowRequest(Cid("nowhere"))]),
        (Uid("mallory"), [RowRequest(ROOM)]),
        (CAROL, [RowRequest(Cid("other")), RowRequest(ROOM)]),
        (BOB, [RowRequest(ROOM)]),
    ]
    found = await asyncio.gather(*(store.conversations.rows(uid, wanted) for uid, wanted in asked))

    def short(one: Row | None) -> tuple[object, ...] | None:
        return one and (one.cid, one.role, one.delivered, one.read, one.unread, one.start)

    assert [[short(one) for one in rows] for rows in found] == [
        [(ROOM, "moderator", 3, 1, 3, ids[2]), None],
        [None],
        [("other", "member", 0, 0, 0, "0-0"), (ROOM, "reader", 0, 0, 4, "0-0")],
        [(ROOM, "moderator", 3, 1, 3, ids[2])],
    ]


async def test_a_conversation_that_cannot_be_read_fails_those_who_asked_for_it(store: Store, client: Redis) -> None:
    await store.conversations.put(Cid("broken"), {}, members=[(BOB, Role.MEMBER)])
    await client.set("pp:{c:broken}:read", "of another type")
    bob, carol = await asyncio.gather(
        store.conversations.rows(BOB, [RowRequest(ROOM), RowRequest(Cid("broken"))]),
        store.conversations.rows(CAROL, [RowRequest(ROOM)]),
        return_exceptions=True,
    )
    assert isinstance(bob, StoreUnavailable)
    assert isinstance(carol, list)
    assert carol[0] is not None
