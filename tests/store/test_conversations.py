"""Conversations: settings that merge, lists that are hints, deletion that leaves nothing of them."""

from __future__ import annotations

import re
import time

import pytest
from redis.asyncio import Redis

from pushpull.errors import Invalid, NoSuchConversation, StoreUnavailable
from pushpull.model import Cid, ConversationSettings, Role, Uid
from pushpull.store import CursorMove, PendingRow, Store
from tests.servers import RedisServer
from tests.store.conftest import ALICE, BOB, LEFT_BY_DELETION, ROOM, keys_of
from tests.store.drafts import send, send_many

NEW = Cid("new")


async def test_put_says_whether_it_made_one(store: Store) -> None:
    assert await store.conversations.put(NEW, {"mode": "push"})
    assert not await store.conversations.put(NEW, {"mode": "notify"})


async def test_settings_merge_and_none_takes_one_back(store: Store) -> None:
    await store.conversations.put(NEW, {"mode": "push", "retain_days": 3, "data": {"title": "x", "n": [1]}})
    await store.conversations.put(NEW, {"mode": None, "sends_per_s": 2.5})
    head = await store.conversations.head(NEW)
    assert head.settings == ConversationSettings(retain_days=3, sends_per_s=2.5, data={"title": "x", "n": [1]})
    assert head.mver == 2


async def test_an_unknown_setting_is_named(store: Store) -> None:
    with pytest.raises(Invalid, match="setting 'colour' is not known"):
        await store.conversations.put(NEW, {"colour": "red"})


async def test_members_are_for_a_new_conversation(store: Store) -> None:
    with pytest.raises(Invalid, match="conversation room exists"):
        await store.conversations.put(ROOM, {"mode": "push"}, members=[(ALICE, Role.MEMBER)])
    assert (await store.conversations.head(ROOM)).settings.mode == "auto"


async def test_making_it_again_with_the_same_members_completes_what_was_begun(store: Store) -> None:
    both = [(ALICE, Role.MEMBER), (BOB, Role.READER)]
    await store.conversations.put(NEW, {"mode": "push"})
    await store.members.add(NEW, both[:1])  # as a node that died before the second

    assert not await store.conversations.put(NEW, {"mode": "push"}, members=both)

    assert (await store.conversations.head(NEW)).members == 2
    assert await store.members.role(NEW, BOB) is Role.READER
    assert not await store.conversations.put(NEW, {"mode": "push"}, members=both)
    with pytest.raises(Invalid, match="exists with other members"):
        await store.conversations.put(NEW, {"mode": "push"}, members=both[1:])


async def test_lists_are_paged_by_name(store: Store) -> None:
    for name in ("b", "a", "c"):
        await store.conversations.put(Cid(name), {}, members=[(ALICE, Role.MEMBER)])
    assert await store.conversations.listed(ALICE, limit=3) == (["a", "b", "c"], "c")
    assert await store.conversations.listed(ALICE, after=Cid("c"), limit=3) == ([ROOM], None)


async def test_a_stale_hint_can_be_forgotten_a_true_one_not(store: Store, client: Redis) -> None:
    await client.zadd("pp:{u:bob}:conversations", {"gone": 0})
    await store.conversations.forget_hint(BOB, [Cid("gone"), ROOM])
    assert await store.conversations.listed(BOB) == ([ROOM], None)


async def test_deletion_leaves_nothing_behind_but_when_it_was(store: Store, client: Redis) -> None:
    ids = await send_many(store, 3, mentions=("bob",))
    await send(store, "e", kind="edit", ref=2, quiet=True)
    await send(store, "redact:1", kind="redact", ref=1, quiet=True)
    await store.cursors.flush({ROOM: [CursorMove(uid=BOB, delivered=ids[1])]})
    noted = PendingRow(
        user=BOB, device="d", session="s", first=1, last=2, delivery_count=2, first_sent_ms=1, last_sent_ms=2
    )
    await store.pending.note(ROOM, [noted])
    await store.conversations.delete(ROOM)
    assert await keys_of(client) == LEFT_BY_DELETION
    for call in (store.conversations.head(ROOM), store.conversations.delete(ROOM)):
        with pytest.raises(NoSuchConversation):
            await call


async def test_deletion_takes_the_conversation_off_the_lists_of_all_its_members(
    store: Store, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pushpull.store.conversations.TOLD_AT_ONCE", 2)
    await store.members.add(ROOM, [(Uid(f"u{i}"), Role.MEMBER) for i in range(5)])
    await store.jobs.mark([ROOM], delay_s=30)
    await store.conversations.delete(ROOM)
    assert await keys_of(client) == LEFT_BY_DELETION


async def test_a_deletion_that_was_cut_short_is_completed_by_the_same_call(
    store: Store, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: object) -> None:
        raise StoreUnavailable("redis cannot be reached")

    with monkeypatch.context() as patched:
        patched.setattr(store.members, "forget_hints", away)
        with pytest.raises(StoreUnavailable):
            await store.conversations.delete(ROOM)
    assert await store.conversations.listed(BOB) == ([ROOM], None)

    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])  # made again meanwhile, without bob
    await store.conversations.delete(ROOM)

    assert await keys_of(client) == LEFT_BY_DELETION


async def test_a_list_that_is_put_right_late_keeps_who_is_a_member_again(
    store: Store, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.zadd("pp:{c:room}:gone", {"alice": 0, "bob": 0})
    await client.delete("pp:{c:room}:meta", "pp:{c:room}:members")
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    await client.zadd("pp:{u:bob}:conversations", {"room": 0})

    assert await store.conversations._take_off_lists(ROOM) == 2

    assert await store.conversations.listed(ALICE) == ([ROOM], None)
    assert await store.conversations.listed(BOB) == ([], None)


async def test_ten_thousand_members_are_taken_off_their_lists_in_calls_of_a_thousand(
    real_store: Store, redis_server: RedisServer
) -> None:
    await real_store.members.add(ROOM, [(Uid(f"u{i}"), Role.MEMBER) for i in range(9997)])
    assert len(redis_server.ask_for_list("KEYS", "pp:{u:*}:conversations")) == 10_000
    redis_server.ask("CONFIG", "RESETSTAT")

    await real_store.conversations.delete(ROOM)

    assert sorted(redis_server.ask_for_list("KEYS", "*")) == ["pp:control", "pp:schema", "pp:{c:room}:deleted"]
    looks = re.search(r"cmdstat_zrange:calls=(\d+)", redis_server.ask("INFO", "commandstats"))
    assert looks is not None
    assert looks[1] == "11"


async def test_deletion_leaves_no_cmid_behind_of_a_log_that_is_ahead_of_the_clock(store: Store, client: Redis) -> None:
    await client.hset("pp:{c:room}:meta", "last", f"0-{(int(time.time()) + 86_400) * 1000 * 1024}")
    await send(store, "m1")
    await store.conversations.delete(ROOM)
    assert await keys_of(client) == LEFT_BY_DELETION


async def test_one_made_again_has_another_epoch_and_an_empty_log(store: Store) -> None:
    await send_many(store, 3)
    epoch = (await store.conversations.head(ROOM)).epoch
    await store.conversations.delete(ROOM)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    head = await store.conversations.head(ROOM)
    assert (head.epoch > epoch, head.seq, head.members) == (True, 0, 1)
    assert (await store.log.read(ROOM, after=0)).entries == ()
