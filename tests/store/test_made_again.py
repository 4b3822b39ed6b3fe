"""A conversation that was deleted and made again under its name: nothing of the old log is taken for the new one's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from pushpull.errors import NoSuchConversation
from pushpull.model import Cid, LogId, Role, Row, ts_of
from pushpull.store import CursorMove, RowRequest, Store
from pushpull.store.conversations import DELETED_KEPT_MS
from pushpull.store.values import Verdict
from tests.store.conftest import ALICE, BOB, ROOM
from tests.store.drafts import send, send_many, sent
from tests.store.planting import LOG, META, id_at, lose_tail, plant
from tests.store.test_moving import bring_in, exported

MEMBERS = [(ALICE, Role.MEMBER), (BOB, Role.MEMBER)]
LONG_AGO_MS = 1_700_000_000_000


async def make_again(store: Store, **settings: Any) -> None:
    await store.conversations.delete(ROOM)
    await store.conversations.put(ROOM, settings, members=MEMBERS)


async def row(store: Store, position: str, **options: Any) -> Row:
    found = (await store.conversations.rows(BOB, [RowRequest(ROOM, LogId(position))], **options))[0]
    assert found is not None
    return found


@pytest.mark.parametrize("at", [2, 4, 7])
async def test_a_place_in_the_old_log_is_none_in_the_new_one(store: Store, at: int) -> None:
    old = await send_many(store, 8)
    await make_again(store)
    new = await send_many(store, 4)
    found = await row(store, old[at - 1])
    assert (found.reset, found.start, found.delivered) == ("deleted", "0-0", 0)
    assert (await row(store, old[at - 1], unnamed="head")).start == new[3]
    assert (await row(store, old[at - 1], max_backlog=2)).start == new[3]
    assert (await store.log.read(ROOM, after=at, anchor=old[at - 1])).verdict == Verdict.DELETED


async def test_a_place_in_the_old_log_is_none_while_the_new_one_is_empty(store: Store) -> None:
    old = await send_many(store, 2)
    await make_again(store)
    assert (await row(store, old[1])).reset == "deleted"
    assert (await row(store, "0-0")).reset is None


async def test_it_begins_where_the_users_other_devices_have_come(store: Store) -> None:
    old = await send_many(store, 8)
    await make_again(store)
    new = await send_many(store, 4)
    await store.cursors.flush({ROOM: [CursorMove(uid=BOB, delivered=new[2])]})
    assert (await row(store, old[7])).start == new[2]


async def test_places_in_the_new_log_are_good(store: Store) -> None:
    await send_many(store, 8)
    await make_again(store)
    new = await send_many(store, 4)
    await send(store, "redact:2", kind="redact", ref=2, quiet=True)
    assert [(await row(store, log_id)).reset for log_id in new] == [None] * 4


async def test_a_lost_tail_of_the_new_log_has_diverged(store: Store, client: Redis) -> None:
    await send_many(store, 8)
    await make_again(store)
    new = await send_many(store, 5)
    await lose_tail(client, new[2])
    assert (await row(store, new[4])).reset == "diverged"


async def test_without_the_word_that_it_was_deleted_the_log_has_lost_its_tail(store: Store, client: Redis) -> None:
    """A failover lost it, or a node of an earlier release deleted the conversation."""
    old = await send_many(store, 8)
    await store.conversations.delete(ROOM)
    await client.delete("pp:{c:room}:deleted")
    await store.conversations.put(ROOM, {}, members=MEMBERS)
    await send_many(store, 4)
    assert (await row(store, old[7])).reset == "diverged"
    assert not (await sent(store, "late", first_at=ts_of(old[7]))).dup


async def test_a_place_below_the_floor_of_the_new_log_is_of_the_old_one(make_store: Callable[..., Store]) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=MEMBERS)
    old = await send_many(store, 8)
    await make_again(store)
    new = await send_many(store, 10)
    assert [(await row(store, old[at])).reset for at in (2, 6)] == ["deleted", "deleted"]
    assert (await row(store, old[6])).start == new[6]
    assert [(await row(store, place)).reset for place in (new[2], "2-0", "7-0")] == ["trimmed", "trimmed", None]


async def test_a_place_right_below_the_floor_is_of_the_old_log_though_nothing_is_known_there(
    store: Store, client: Redis
) -> None:
    old = await send_many(store, 8)
    await make_again(store)
    new = await send_many(store, 8)
    await client.hset(META, "floor", 4)
    await client.xtrim(LOG, minid="4", approximate=False)
    assert [(await row(store, place)).reset for place in (old[2], new[2])] == ["deleted", None]


async def test_the_new_log_begins_later_than_the_old_one_ended_though_the_clock_went_back(
    store: Store, client: Redis
) -> None:
    seconds, _ = await client.time()
    ahead_ms = (seconds + 36_000) * 1000
    old = [id_at(seq, ahead_ms) for seq in range(1, 5)]
    await plant(client, old)
    await make_again(store)
    await make_again(store)  # one without a message in between says no earlier time
    new = await send_many(store, 2)
    assert {ts_of(log_id) for log_id in new} == {ahead_ms + 1}
    assert [(await row(store, place)).reset for place in (old[1], old[3], new[0])] == ["deleted", "deleted", None]
    await lose_tail(client, new[0])
    assert (await row(store, new[1])).reset == "diverged"


async def test_what_was_first_tried_before_it_was_deleted_is_not_stored(store: Store) -> None:
    old = await send_many(store, 2)
    await make_again(store)
    await send(store, "m1")
    with pytest.raises(NoSuchConversation, match="conversation room was deleted after cmid m2 was first tried"):
        await send(store, "m2", first_at=ts_of(old[1]))
    assert (await sent(store, "m1", first_at=ts_of(old[0]))).dup
    assert not (await sent(store, "m3", first_at=ts_of(old[1]) + 1_000)).dup
    assert (await store.conversations.head(ROOM)).seq == 2


async def test_acks_of_the_old_log_move_no_cursor_of_the_new_one(store: Store) -> None:
    old = await send_many(store, 3)
    await make_again(store)
    await send_many(store, 3)
    await store.cursors.flush({ROOM: [CursorMove(uid=BOB, delivered=old[2], read=old[2])]})
    (bob,) = await store.conversations.rows(BOB, [RowRequest(ROOM)])
    assert bob is not None
    assert (bob.delivered, bob.read) == (0, 0)


async def test_that_it_was_deleted_is_known_for_thirty_days_or_until_it_is_made_again(
    store: Store, client: Redis
) -> None:
    await send_many(store, 1)
    await store.conversations.delete(ROOM)
    assert DELETED_KEPT_MS - 60_000 < await client.pttl("pp:{c:room}:deleted") <= 30 * 86_400_000
    await store.conversations.put(ROOM, {}, members=MEMBERS)
    assert await client.exists("pp:{c:room}:deleted") == 0
    assert await client.hexists(META, "after")


async def test_what_was_taken_out_and_brought_in_again_after_it_was_deleted_knows_its_places(
    store: Store, client: Redis
) -> None:
    kept = [id_at(seq, LONG_AGO_MS + seq) for seq in range(1, 5)]
    await plant(client, kept)
    lines = await exported(store)
    later = await send_many(store, 2)
    await store.conversations.delete(ROOM)
    await bring_in(store, lines, ROOM)
    assert [(await row(store, place)).reset for place in kept] == [None] * 4
    assert (await row(store, later[1])).reset == "deleted"
    assert ts_of(await send(store, "next")) > ts_of(later[1])


async def test_what_was_brought_in_takes_a_place_below_its_floor_for_its_own(store: Store, client: Redis) -> None:
    kept = [id_at(seq, LONG_AGO_MS + seq) for seq in range(1, 9)]
    await plant(client, kept, floor=5)
    lines = await exported(store)
    await store.conversations.delete(ROOM)
    await bring_in(store, lines, ROOM)
    assert [(await row(store, place)).reset for place in (kept[1], kept[3])] == ["trimmed", None]


async def test_names_do_not_meet(store: Store) -> None:
    other = Cid("other")
    await store.conversations.put(other, {}, members=MEMBERS)
    first = await send(store, "m1", cid=other)
    await make_again(store)
    (found,) = await store.conversations.rows(BOB, [RowRequest(other, first)])
    assert found is not None
    assert (found.reset, found.start) == (None, first)
