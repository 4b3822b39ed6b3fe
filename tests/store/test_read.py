"""Reading: ranges, bounds, and whether a place is still the log's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from pushpull.errors import NoSuchConversation
from pushpull.model import ZERO_ID, Cid, LogId, Role
from pushpull.store import LogRead, ReadRequest, Store, Verdict
from tests.store.conftest import ALICE, ROOM
from tests.store.drafts import send, send_many
from tests.store.planting import id_at, lose_tail, plant


def seqs(read: LogRead) -> list[int]:
    return [entry.seq for entry in read.entries]


async def place(store: Store, anchor: LogId | str) -> LogRead:
    """Read on from a log id."""
    return await store.log.read(ROOM, after=int(anchor.partition("-")[0]), anchor=LogId(anchor))


async def test_an_empty_log_reads_as_such(store: Store) -> None:
    read = await store.log.read(ROOM, after=0, anchor=ZERO_ID)
    assert (read.entries, read.verdict, read.more) == ((), Verdict.SAME, False)
    assert (read.head.last_id, read.head.seq, read.head.floor, read.head.count, read.head.rev) == ("0-0", 0, 1, 0, 0)


async def test_forward_reads_begin_above_after_and_end_at_the_limit(store: Store) -> None:
    await send_many(store, 5)
    read = await store.log.read(ROOM, after=1, limit=3)
    assert (seqs(read), read.more) == ([2, 3, 4], True)
    rest = await store.log.read(ROOM, after=4, limit=1)
    assert (seqs(rest), rest.more) == ([5], False)
    assert seqs(await store.log.read(ROOM, after=9)) == []


async def test_reads_are_longer_than_one_chunk(store: Store) -> None:
    await send_many(store, 100)
    assert seqs(await store.log.read(ROOM, after=0, limit=90)) == list(range(1, 91))
    assert seqs(await store.log.read_before(ROOM, limit=90)) == list(range(11, 101))


async def test_a_read_is_bounded_in_bytes_but_has_at_least_one_entry(store: Store) -> None:
    await send_many(store, 5, body=b'"' + b"x" * 98 + b'"')
    assert seqs(await store.log.read(ROOM, after=0, max_bytes=250)) == [1, 2]
    assert seqs(await store.log.read(ROOM, after=2, max_bytes=10)) == [3]
    backward = await store.log.read_before(ROOM, max_bytes=250)
    assert (seqs(backward), backward.more) == ([4, 5], True)


async def test_the_bound_counts_the_edited_body(store: Store) -> None:
    await send_many(store, 2)
    await send(store, "e1", kind="edit", ref=1, quiet=True, body=b'"' + b"x" * 300 + b'"')
    assert seqs(await store.log.read(ROOM, after=0, max_bytes=100)) == [1]


async def test_backward_reads_are_ascending_and_say_if_there_is_more(store: Store) -> None:
    await send_many(store, 5)
    newest = await store.log.read_before(ROOM, limit=2)
    assert (seqs(newest), newest.more) == ([4, 5], True)
    below = await store.log.read_before(ROOM, before=4, limit=3)
    assert (seqs(below), below.more) == ([1, 2, 3], False)
    bounded = await store.log.read_before(ROOM, before=4, oldest=2, limit=2)
    assert (seqs(bounded), bounded.more) == ([2, 3], False)
    assert seqs(await store.log.read_before(ROOM, before=1)) == []


async def test_nothing_below_the_floor_is_read(make_store: Callable[..., Store], client: Redis) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    await send_many(store, 10)
    assert await client.xlen("pp:{c:room}:log") == 10  # not trimmed yet, and hidden all the same
    read = await store.log.read(ROOM, after=0)
    assert (read.head.floor, seqs(read)) == (8, [8, 9, 10])
    backward = await store.log.read_before(ROOM)
    assert (seqs(backward), backward.more) == ([8, 9, 10], False)
    assert await store.log.entry(ROOM, 7) is None


async def test_a_conversation_may_retain_less_than_the_service(store: Store) -> None:
    await store.conversations.put(ROOM, {"retain_messages": 2})
    await send_many(store, 5)
    assert (await store.conversations.head(ROOM)).floor == 4


async def test_appends_trim_what_is_below_the_floor(make_store: Callable[..., Store], client: Redis) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    await send_many(store, 320, quiet=True)
    assert await client.xlen("pp:{c:room}:log") < 320  # whole nodes of the stream go, 100 entries each
    assert await client.zcard("pp:{c:room}:quiet") == 3


async def test_entry_finds_one(store: Store) -> None:
    await send_many(store, 2)
    found = await store.log.entry(ROOM, 2)
    assert found is not None
    assert found.cmid == "m2"
    assert await store.log.entry(ROOM, 3) is None


async def test_many_reads_fail_one_by_one(store: Store) -> None:
    await send_many(store, 2)
    first, second = await store.log.read_many(
        [ReadRequest(cid=ROOM, after=1), ReadRequest(cid=Cid("nowhere"), after=0)]
    )
    assert isinstance(first, LogRead)
    assert seqs(first) == [2]
    assert isinstance(second, NoSuchConversation)


async def test_heads_say_none_for_what_is_not_there(store: Store) -> None:
    found, missing = await store.log.heads([ROOM, Cid("nowhere")])
    assert found is not None
    assert (found.members, missing) == (3, None)


async def test_reading_an_unknown_conversation_is_an_error(store: Store) -> None:
    for call in (
        store.log.read(Cid("x"), after=0),
        store.log.read_before(Cid("x")),
        store.log.move_epoch(Cid("x"), "1"),
    ):
        with pytest.raises(NoSuchConversation, match="conversation x does not exist"):
            await call


async def test_a_place_in_the_log_is_the_same(store: Store) -> None:
    ids = await send_many(store, 3)
    assert ((await place(store, ids[1])).verdict, seqs(await place(store, ids[1]))) == (Verdict.SAME, [3])
    assert (await place(store, ids[2])).verdict is Verdict.SAME


async def test_a_place_on_a_redacted_entry_is_known(store: Store) -> None:
    ids = await send_many(store, 2)
    await send(store, "redact:2", kind="redact", ref=2, quiet=True)
    read = await place(store, ids[1])
    assert (read.verdict, seqs(read)) == (Verdict.REDACTED, [3])
    assert (await place(store, f"{ids[1]}1")).verdict is Verdict.DIVERGED


async def test_a_place_below_the_floor_is_trimmed_unless_nothing_is_missing(make_store: Callable[..., Store]) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    ids = await send_many(store, 10)
    assert (await place(store, ids[5])).verdict is Verdict.TRIMMED
    assert (await place(store, ZERO_ID)).verdict is Verdict.TRIMMED
    assert (await place(store, ids[6])).verdict is Verdict.SAME
    assert seqs(await place(store, ids[5])) == [8, 9, 10]


async def test_a_place_right_below_the_floor_is_the_same_when_its_entry_is_gone(store: Store, client: Redis) -> None:
    await send_many(store, 3)
    await client.hset("pp:{c:room}:meta", "floor", 3)
    await client.xtrim("pp:{c:room}:log", minid="3", approximate=False)
    assert (await place(store, "2-0")).verdict is Verdict.SAME


async def test_the_place_we_name_below_the_floor_is_the_same_though_its_entry_is_not_trimmed_yet(
    make_store: Callable[..., Store], client: Redis
) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    await send_many(store, 10)
    assert len(await client.xrange("pp:{c:room}:log", 7, 7)) == 1
    assert (await place(store, "7-0")).verdict is Verdict.SAME
    assert (await place(store, "6-0")).verdict is Verdict.TRIMMED


async def test_a_place_above_the_head_has_diverged(store: Store) -> None:
    ids = await send_many(store, 3)
    await send_many(store, 1)
    assert (await place(store, f"9-{ids[2].partition('-')[2]}")).verdict is Verdict.DIVERGED


async def test_a_lost_tail_is_seen_after_its_seqs_are_used_again(store: Store, client: Redis) -> None:
    ids = await send_many(store, 5)
    await lose_tail(client, ids[2])
    assert (await place(store, ids[4])).verdict is Verdict.DIVERGED
    for i in range(3):
        await send(store, f"new{i}", body=b'"other"')
    read = await place(store, ids[4])
    assert (read.verdict, read.entries) == (Verdict.DIVERGED, ())
    assert (await place(store, ids[2])).verdict is Verdict.SAME


async def test_common_is_the_last_entry_clearly_older_than_the_lost_one(store: Store, client: Redis) -> None:
    hour = 1_700_000_000_000
    lost = id_at(6, hour + 60_000)
    ages = [0, 10_000, 54_999, 55_001, 58_000, 70_000, 80_000]
    await plant(client, [id_at(i + 1, hour + age) for i, age in enumerate(ages)])
    read = await place(store, lost)
    assert (read.verdict, read.common) == (Verdict.DIVERGED, id_at(3, hour + 54_999))


async def test_common_skips_what_was_redacted(store: Store, client: Redis) -> None:
    hour = 1_700_000_000_000
    await plant(client, [id_at(seq, hour + seq) for seq in (1, 2, 7, 8)])
    assert (await place(store, id_at(8, hour + 60_000))).common == id_at(7, hour + 7)
    assert (await place(store, id_at(6, hour + 60_000))).common == id_at(2, hour + 2)


async def test_common_is_below_the_floor_when_nothing_is_old_enough(store: Store, client: Redis) -> None:
    hour = 1_700_000_000_000
    await plant(client, [id_at(seq, hour) for seq in range(4, 9)], floor=4)
    assert (await place(store, id_at(6, hour + 1))).common == "3-0"
    await plant(client, [id_at(seq, hour) for seq in range(1, 9)], floor=1)
    assert (await place(store, id_at(6, hour + 1))).common == ZERO_ID


async def test_the_epoch_moves_once_for_all_who_saw_the_divergence(store: Store, client: Redis) -> None:
    await client.hset("pp:{c:room}:meta", "epoch", "9000000000000")  # far ahead of now
    assert await store.log.move_epoch(ROOM, "9000000000000") == "9000000000001"
    assert await store.log.move_epoch(ROOM, "1") == "9000000000001"
    assert (await store.conversations.head(ROOM)).epoch == "9000000000001"


async def test_a_new_epoch_is_not_older_than_now(store: Store, client: Redis) -> None:
    await client.hset("pp:{c:room}:meta", "epoch", "17")
    seconds, _ = await client.time()
    assert int(await store.log.move_epoch(ROOM, "17")) >= seconds * 1000


async def test_time_in_a_log_never_falls(store: Store, client: Redis) -> None:
    ahead = id_at(1, 4_000_000_000_000)
    await plant(client, [ahead])
    assert await send(store, "m1") > LogId("2-4096000000000000")
