"""Cursors: forward only, never past the head, and only by ids the log knows."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from pushpull.errors import NoSuchConversation, NoSuchMessage
from pushpull.model import Cid, Cursors, Role, Uid
from pushpull.store import CursorMove, Store
from pushpull.store.bells import Bells
from pushpull.store.passing import ReceiptBell
from pushpull.store.values import Ring, Subscribed
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import send, send_many
from tests.store.planting import lose_tail


async def move(store: Store, delivered: str | None = None, read: str | None = None, uid: Uid = BOB) -> Cursors | None:
    return (await store.cursors.flush({ROOM: [CursorMove(uid=uid, delivered=delivered, read=read)]}))[ROOM][0]


async def test_a_cursor_moves_to_an_id_of_the_log(store: Store) -> None:
    ids = await send_many(store, 5, own=False)
    assert await move(store, ids[2], ids[1]) == Cursors(3, 2, 3, 5)
    assert await store.cursors.get(ROOM, BOB) == Cursors(3, 2, 3, 5)


async def test_cursors_never_go_back(store: Store) -> None:
    ids = await send_many(store, 5, own=False)
    await move(store, ids[3], ids[3])
    assert await move(store, ids[1], "2") is None
    assert await move(store, ids[1], ids[4]) == Cursors(4, 5, 0, 5)


async def test_a_bare_seq_is_clamped_to_the_head(store: Store) -> None:
    await send_many(store, 5, own=False)
    assert await move(store, "999999") == Cursors(5, 0, 5, 5)


@pytest.mark.parametrize("ack", ["3-1", "9-1838498556562345", "0-0"])
async def test_an_id_the_log_does_not_know_moves_nothing(store: Store, ack: str) -> None:
    await send_many(store, 5, own=False)
    assert await move(store, ack) is None


async def test_an_ack_of_a_lost_tail_does_not_mark_its_successor(store: Store, client: Redis) -> None:
    ids = await send_many(store, 5, own=False)
    await lose_tail(client, ids[2])
    await send(store, "x", own=False)
    await send(store, "y", own=False)
    assert await move(store, ids[4]) is None
    assert await move(store, ids[2]) == Cursors(3, 0, 5, 5)


async def test_an_ack_of_a_redacted_or_trimmed_entry_counts(store: Store, client: Redis) -> None:
    ids = await send_many(store, 5)
    await send(store, "redact:4", kind="redact", ref=4, quiet=True)
    assert await move(store, ids[3], uid=BOB) is not None
    await client.hset("pp:{c:room}:meta", "floor", 3)
    assert await move(store, "2-12345", uid=CAROL) == Cursors(2, 0, 3, 5)


async def test_one_who_is_no_member_has_no_cursors(store: Store) -> None:
    await send_many(store, 2)
    assert await move(store, "2", uid=Uid("mallory")) is None
    assert await store.cursors.get(ROOM, Uid("mallory")) is None
    assert await store.cursors.get(Cid("nowhere"), BOB) is None


async def test_a_flush_of_many_moves_and_conversations_answers_in_order(store: Store) -> None:
    other = Cid("other")
    uids = [Uid(f"u{i}") for i in range(2500)]
    await store.conversations.put(other, {}, members=[(uid, Role.MEMBER) for uid in uids])
    ids = await send_many(store, 3, cid=other, own=False)
    moves = {
        other: [CursorMove(uid=uid, delivered=ids[i % 3], read=ids[0]) for i, uid in enumerate(uids)],
        Cid("nowhere"): [CursorMove(uid=BOB, read="1")],
    }
    results = await store.cursors.flush(moves)
    assert results[other] == [Cursors(i % 3 + 1, 1, 2, 3) for i in range(2500)]
    assert results[Cid("nowhere")] == [None]
    assert await store.cursors.flush({}) == {}


async def test_unread_after_a_flush_leaves_quiet_messages_out(store: Store) -> None:
    await send_many(store, 3, own=False)
    await send(store, "q", quiet=True)
    assert await move(store, read="1") == Cursors(0, 1, 2, 3)


async def test_receipts_count_those_who_were_members_then(store: Store) -> None:
    ids = await send_many(store, 3)
    await store.members.add(ROOM, [(Uid("late"), Role.MEMBER)])
    await move(store, ids[1], ids[0])
    counts = await store.cursors.receipts(ROOM, 2, names=False)
    assert (counts.delivered, counts.read, counts.delivered_by) == (2, 1, None)
    named = await store.cursors.receipts(ROOM, 2, names=True)
    assert (named.delivered_by, named.read_by) == ([BOB, ALICE], [ALICE])


@pytest.mark.parametrize("seq", [0, 4, -1])
async def test_receipts_of_what_is_no_message_are_an_error(store: Store, seq: int) -> None:
    await send_many(store, 3)
    with pytest.raises(NoSuchMessage, match=f"seq {seq} is not a message of room: its head is 3"):
        await store.cursors.receipts(ROOM, seq, names=False)
    with pytest.raises(NoSuchConversation):
        await store.cursors.receipts(Cid("nowhere"), 1, names=False)


async def test_behind_names_everyone_below_a_seq_the_furthest_first(store: Store) -> None:
    ids = await send_many(store, 5, own=False)
    await move(store, ids[3], uid=ALICE)
    await move(store, ids[1], uid=BOB)
    assert [rows async for rows in store.cursors.behind(ROOM, below=4)] == [[(CAROL, 0), (BOB, 2)]]
    assert [rows async for rows in store.cursors.behind(ROOM, cursor="read", chunk=2)] == [
        [(ALICE, 0), (BOB, 0)],
        [(CAROL, 0)],
    ]
    assert [rows async for rows in store.cursors.behind(Cid("nowhere"))] == []


async def test_behind_skips_nobody_when_others_move_meanwhile(store: Store) -> None:
    uids = [Uid(f"user-{i:02}") for i in range(20)]
    await store.members.add(ROOM, [(uid, Role.MEMBER) for uid in uids])
    await send_many(store, 3, own=False)
    seen: list[Uid] = []
    async for rows in store.cursors.behind(ROOM, chunk=4):
        seen.extend(uid for uid, _ in rows)
        await move(store, "3", uid=rows[0][0])
        await move(store, "3", uid=rows[-1][0])
    assert seen == sorted([ALICE, BOB, CAROL, *uids])


async def test_the_bell_says_where_those_who_moved_stand_if_it_is_to_ring(store: Store) -> None:
    await send_many(store, 5, own=False)
    bells = store.bells()
    await bells.start("n1")
    await bells.subscribe([ROOM])
    try:
        while not isinstance(await bells.next(1.0), Subscribed):
            pass
        moves = [
            CursorMove(uid=ALICE, delivered="3", read="2"),
            CursorMove(uid=BOB, delivered="1"),
            CursorMove(uid=Uid("stranger"), delivered="1"),
        ]
        await store.cursors.flush({ROOM: moves[:1]})
        await store.cursors.flush({ROOM: moves}, ring=[ROOM])
        head = await store.conversations.head(ROOM)

        rung = [ring for ring in await heard(bells) if isinstance(ring, ReceiptBell)]
        # One bell, of the second flush; alice had moved before, and is told of again.
        assert rung == [ReceiptBell(ROOM, head.epoch, head.mver, ((ALICE, 3, 2), (BOB, 1, 0)))]
    finally:
        await bells.aclose()


async def heard(bells: Bells) -> list[Ring]:
    """All that rings until nothing has for a while."""
    rings: list[Ring] = []
    while (ring := await bells.next(0.2)) is not None:
        rings += [ring, *bells.ready()]
    return rings
