"""Members: added at the head, ten thousand a call, removed with all that was theirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import pytest
from redis.asyncio import Redis

from pushpull.errors import Invalid, LimitReached, NoSuchConversation, NotAMember
from pushpull.model import Cid, Role, Uid
from pushpull.store import MemberCounts, MemberRow, PendingRow, Store
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import send_many

DAVE = Uid("dave")


async def test_members_join_at_the_head(store: Store) -> None:
    await send_many(store, 3)
    assert await store.members.add(ROOM, [(DAVE, Role.READER)]) == MemberCounts(added=1, members=4)
    assert (await store.members.page(ROOM))[-1] == MemberRow(DAVE, Role.READER, 3, 3, 3)


async def test_adding_a_member_again_changes_the_role_alone(store: Store) -> None:
    await send_many(store, 3)
    counts = await store.members.add(ROOM, [(BOB, Role.READER), (ALICE, Role.MEMBER), (CAROL, Role.MEMBER)])
    assert counts == MemberCounts(updated=2, members=3)
    rows = await store.members.page(ROOM)
    assert [(row.user, row.role, row.joined) for row in rows] == [
        (ALICE, Role.MEMBER, 0),
        (BOB, Role.READER, 0),
        (CAROL, Role.MEMBER, 0),
    ]


async def test_the_last_role_named_for_a_user_counts(store: Store) -> None:
    counts = await store.members.add(ROOM, [(DAVE, Role.READER), (DAVE, Role.MODERATOR)])
    assert (counts.added, await store.members.role(ROOM, DAVE)) == (1, Role.MODERATOR)


async def test_each_change_moves_mver_once_and_no_change_does_not(store: Store) -> None:
    before = (await store.conversations.head(ROOM)).mver
    await store.members.add(ROOM, [(DAVE, Role.MEMBER), (Uid("eve"), Role.MEMBER)])
    await store.members.add(ROOM, [(DAVE, Role.MEMBER)])
    await store.members.remove(ROOM, [Uid("nobody")])
    assert (await store.conversations.head(ROOM)).mver == before + 1
    await store.members.remove(ROOM, [DAVE])
    assert (await store.conversations.head(ROOM)).mver == before + 2


async def test_one_who_left_leaves_nothing(store: Store, client: Redis) -> None:
    await send_many(store, 3)
    noted = PendingRow(
        user=BOB, device="d", session="s", first=1, last=2, delivery_count=2, first_sent_ms=1, last_sent_ms=2
    )
    await store.pending.note(ROOM, [noted])
    assert await store.members.remove(ROOM, [BOB, BOB, Uid("nobody")]) == MemberCounts(removed=1, members=2)
    assert await store.members.role(ROOM, BOB) is None
    assert await client.hkeys("pp:{c:room}:roles") == [b"carol"]
    assert await store.cursors.get(ROOM, BOB) is None
    assert await store.pending.rows(ROOM) == []
    assert await store.conversations.listed(BOB) == ([], None)
    await store.members.add(ROOM, [(BOB, Role.MEMBER)])
    assert (await store.members.page(ROOM))[-1] == MemberRow(BOB, Role.MEMBER, 3, 3, 3)


async def test_a_full_conversation_refuses_more_and_changes_nothing(make_store: Callable[..., Store]) -> None:
    store = make_store(members=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MEMBER)])
    with pytest.raises(LimitReached, match="room would have 4 members: the limit is 3"):
        await store.members.add(ROOM, [(CAROL, Role.MEMBER), (DAVE, Role.MEMBER)])
    assert (await store.conversations.head(ROOM)).members == 2
    assert (await store.members.add(ROOM, [(BOB, Role.READER), (CAROL, Role.MEMBER)])).members == 3
    assert (await store.members.add(ROOM, [(BOB, Role.MEMBER)])).updated == 1


async def test_two_adds_at_once_do_not_pass_the_limit_together(make_store: Callable[..., Store]) -> None:
    store = make_store(members=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    pairs = [[(Uid(f"{name}{i}"), Role.MEMBER) for i in range(2)] for name in ("a", "b")]
    results = await asyncio.gather(*(store.members.add(ROOM, pair) for pair in pairs), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["LimitReached", "MemberCounts"]
    assert (await store.conversations.head(ROOM)).members == 3


async def test_a_user_in_too_many_conversations_is_named(make_store: Callable[..., Store]) -> None:
    store = make_store(conversations_per_user=2)
    for cid in ("c1", "c2"):
        await store.conversations.put(Cid(cid), {}, members=[(BOB, Role.MEMBER)])
    with pytest.raises(LimitReached, match="user bob is in 2 conversations"):
        await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MEMBER)])
    with pytest.raises(NoSuchConversation):
        await store.conversations.head(ROOM)


async def test_pages_go_on_after_the_last_user(store: Store) -> None:
    await send_many(store, 1)
    await store.members.add(ROOM, [(Uid(name), Role.MEMBER) for name in ("zoe", "aaron")])
    first = await store.members.page(ROOM, limit=4)
    assert [row.user for row in first] == [ALICE, BOB, CAROL, "aaron"]
    assert [row.user for row in await store.members.page(ROOM, after=first[-1].user, limit=4)] == ["zoe"]
    assert await store.members.page(ROOM, after=Uid("zoe")) == []
    with pytest.raises(Invalid, match="after mallory is not a member of room"):
        await store.members.page(ROOM, after=Uid("mallory"))


async def test_pages_go_on_where_the_last_user_stood_though_it_has_left(store: Store) -> None:
    await send_many(store, 1)
    await store.members.add(ROOM, [(Uid(name), Role.MEMBER) for name in ("zoe", "aaron", "mia")])
    names = [row.user for row in await store.members.page(ROOM)]
    for last in await store.members.page(ROOM):
        await store.members.remove(ROOM, [last.user])
        following = [row.user for row in await store.members.page(ROOM, after=last.user, joined=last.joined)]
        assert following == names[names.index(last.user) + 1 :]


async def test_joined_tells_members_from_others(store: Store) -> None:
    await send_many(store, 2)
    await store.members.add(ROOM, [(DAVE, Role.MEMBER)])
    assert await store.members.joined(ROOM, [BOB, Uid("mallory"), DAVE]) == [0, None, 2]
    assert await store.members.joined(ROOM, []) == []


async def test_require_gives_the_role_or_says_why_not(store: Store) -> None:
    assert await store.members.require(ROOM, BOB) is Role.MODERATOR
    assert await store.members.require(ROOM, ALICE) is Role.MEMBER
    with pytest.raises(NotAMember, match="user mallory is not a member of room"):
        await store.members.require(ROOM, Uid("mallory"))
    with pytest.raises(NoSuchConversation):
        await store.members.require(Cid("nowhere"), ALICE)


async def test_an_unknown_conversation_has_no_members_and_takes_none(store: Store) -> None:
    nowhere = Cid("nowhere")
    for call in (
        store.members.add(nowhere, [(BOB, Role.MEMBER)]),
        store.members.remove(nowhere, [BOB]),
        store.members.page(nowhere),
        store.members.joined(nowhere, [BOB]),
    ):
        with pytest.raises(NoSuchConversation):
            await call
    assert await store.conversations.listed(BOB) == ([ROOM], None)


async def test_a_hint_of_one_who_is_a_member_again_is_kept(store: Store) -> None:
    await store.members.forget_hints(ROOM, [BOB])
    assert await store.conversations.listed(BOB) == ([ROOM], None)


async def test_ten_thousand_members_in_one_call(real_store: Store) -> None:
    members = [(Uid(f"user{i}"), Role.MEMBER) for i in range(10_000)]
    began = time.monotonic()
    counts = await real_store.members.add(ROOM, members)
    assert time.monotonic() - began < 2
    assert counts == MemberCounts(added=10_000, members=10_003)
    removed = await real_store.members.remove(ROOM, [uid for uid, _ in members])
    assert removed == MemberCounts(removed=10_000, members=3)


async def test_a_list_read_between_the_hint_and_the_member_does_not_hide_the_conversation(store: Store) -> None:
    """Adding writes the hint first: whoever reads the list then finds no member, and drops the hint."""
    add_chunk = store.members._add_chunk

    async def be_read_and_add(cid: Cid, chunk: Sequence[tuple[Uid, Role]]) -> tuple[int, int, list[bytes]]:
        await store.conversations.forget_hint(DAVE, [cid])
        return await add_chunk(cid, chunk)

    store.members._add_chunk = be_read_and_add  # type: ignore[method-assign]
    await store.members.add(ROOM, [(DAVE, Role.MEMBER)])

    assert await store.conversations.listed(DAVE) == ([ROOM], None)


async def test_each_removal_is_counted_and_nothing_else_is(store: Store) -> None:
    await store.members.add(ROOM, [(DAVE, Role.MEMBER)])
    await store.conversations.put(ROOM, {"mode": "push"})
    assert (await store.conversations.head(ROOM)).removals == 0

    await store.members.remove(ROOM, [DAVE, BOB])
    await store.members.remove(ROOM, [DAVE])

    assert (await store.conversations.head(ROOM)).removals == 1
