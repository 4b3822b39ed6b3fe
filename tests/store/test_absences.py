"""Who is behind, and the claim: decided once, kept until it was delivered."""

from __future__ import annotations

import asyncio
import time

import pytest

from pushpull.errors import NoSuchConversation, NotAMember
from pushpull.model import Absent, Cid, Notification, Owed, Prefs, Role, Uid
from pushpull.store import CursorMove, RowRequest, Store, absences
from pushpull.store.absences import Absences
from pushpull.store.values import Look
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import send, send_many


async def look(store: Store, cid: Cid = ROOM) -> Look:
    (found,) = await store.absences.look([cid])
    assert isinstance(found, Look)
    return found


async def claim(store: Store, event: str = "e1", *, seen: Look | None = None) -> Notification | None:
    seen = seen or await look(store)
    return await store.absences.claim(ROOM, event, seen, [who for who in seen.absent if not who.told])


async def read(store: Store, uid: Uid, seq: int) -> None:
    await store.cursors.flush({ROOM: [CursorMove(uid=uid, read=str(seq))]})


def names(notification: Notification | None) -> list[Uid]:
    return sorted(user.uid for user in notification.users) if notification else []


async def test_who_is_behind_is_seen_with_what_is_unread(store: Store) -> None:
    await send_many(store, 2)
    await send(store, "quiet", quiet=True)
    await send(store, "m", mentions=("bob",))
    await read(store, CAROL, 2)
    found = await look(store)
    assert (found.upto, found.newest, found.claimed, found.more) == (4, 4, False, False)
    assert found.absent == [
        Absent(BOB, 3, True, False, Prefs()),
        Absent(CAROL, 1, False, False, Prefs()),
    ]
    assert found.head.members == 3


async def test_everybody_is_mentioned_by_a_star_above_what_was_read(store: Store) -> None:
    await send(store, "a", mentions=("*",))
    await send(store, "b")
    await read(store, CAROL, 1)
    assert {who.uid: who.mentioned for who in (await look(store)).absent} == {BOB: True, CAROL: False}


async def test_the_newest_message_is_not_a_quiet_one(store: Store) -> None:
    await send(store, "a")
    await send(store, "edit", kind="edit", ref=1, quiet=True)
    found = await look(store)
    assert (found.upto, found.newest) == (2, 1)
    assert {who.uid: who.unread for who in found.absent} == {ALICE: 0, BOB: 1, CAROL: 1}


async def test_a_conversation_that_is_not_there_is_none(store: Store) -> None:
    assert await store.absences.look([Cid("nowhere")]) == [None]


async def test_looks_go_on_in_chunks_behind_the_same_head(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absences, "CHUNK", 3)
    await store.members.add(ROOM, [(Uid(f"u{n}"), Role.MEMBER) for n in range(7)])
    await send_many(store, 1)
    found, seen = await look(store), []
    while True:
        seen.append([who.uid for who in found.absent])
        await send(store, f"meanwhile {len(seen)}", sender=Uid("u9"), own=False)
        following = await store.absences.look_on(ROOM, found) if found.more else None
        if following is None:
            break
        found = following
        assert found.upto == 1
    assert [len(chunk) for chunk in seen] == [3, 3, 3, 0]
    assert sorted(uid for chunk in seen for uid in chunk) == sorted([BOB, CAROL, *(f"u{n}" for n in range(7))])


async def test_messages_that_are_too_young_do_not_count(store: Store) -> None:
    await send_many(store, 5)
    await asyncio.sleep(0.25)
    await read(store, BOB, 5)
    await read(store, CAROL, 4)
    await send_many(store, 45)
    (found,) = await store.absences.look([ROOM], young_s=0.2)
    assert isinstance(found, Look)
    assert (found.upto, found.newest, found.head.seq) == (5, 5, 45)
    assert {who.uid: who.unread for who in found.absent} == {CAROL: 1}, "Bob is behind, but not for long enough"
    (too_early,) = await store.absences.look([ROOM], young_s=60)
    assert isinstance(too_early, Look)
    assert (too_early.upto, too_early.absent) == (0, [])


async def test_ages_that_a_clock_tells_wrongly_do_not_count(store: Store) -> None:
    await send_many(store, 2)
    ahead = f"2-{int((time.time() + 3_600) * 1000) * 1024}"
    await store._wire.commands([("HSET", store._keys.meta(ROOM), "last", ahead)], again=True)
    (found,) = await store.absences.look([ROOM], young_s=60)
    assert isinstance(found, Look)
    assert found.upto == 2


async def test_who_is_seen_twice_is_claimed_once(store: Store) -> None:
    await send_many(store, 1)
    seen = await look(store)
    made = await store.absences.claim(ROOM, "e1", seen, seen.absent * 2)
    assert names(made) == [BOB, CAROL]


async def test_a_claim_is_made_once_and_whoever_comes_later_gets_the_same(store: Store) -> None:
    await send(store, "a", mentions=("bob",))
    seen = await look(store)
    made = await claim(store, "e1", seen=seen)
    assert made is not None
    assert (made.id, made.cid, made.upto, made.newest) == ("e1", ROOM, 1, 1)
    assert sorted(made.users, key=lambda user: user.uid) == [Owed(BOB, 1, True), Owed(CAROL, 1, False)]
    assert await claim(store, "e1", seen=seen) == made, "a repeated call"
    assert await claim(store, "e2", seen=seen) == made, "another worker"
    assert (await look(store)).claimed
    assert await store.absences.claimed(ROOM) == made


async def test_who_was_told_is_not_told_again_until_it_has_read_that_far(store: Store) -> None:
    await send_many(store, 2)
    await claim(store)
    assert await store.absences.settle(ROOM, "e1") == 2
    await send(store, "later")
    await read(store, BOB, 1)
    assert {who.uid: who.told for who in (await look(store)).absent} == {BOB: True, CAROL: True}
    await read(store, BOB, 2)
    assert {who.uid: who.told for who in (await look(store)).absent} == {BOB: False, CAROL: True}
    assert names(await claim(store, "e2")) == [BOB]


async def test_who_read_or_left_since_the_look_is_not_claimed(store: Store) -> None:
    await send_many(store, 1)
    seen = await look(store)
    await read(store, BOB, 1)
    await store.members.remove(ROOM, [CAROL])
    assert await claim(store, seen=seen) is None
    assert await store.absences.claimed(ROOM) is None


async def test_who_read_or_left_since_the_claim_is_not_told(store: Store) -> None:
    await store.members.add(ROOM, [(Uid("dave"), Role.MEMBER)])
    await send_many(store, 1)
    assert names(await claim(store)) == [BOB, CAROL, "dave"]
    await read(store, BOB, 1)
    await store.members.remove(ROOM, [CAROL])
    assert names(await store.absences.claimed(ROOM)) == ["dave"]
    await read(store, Uid("dave"), 1)
    empty = await store.absences.claimed(ROOM)
    assert empty is not None
    assert empty.users == ()


async def test_what_was_given_up_counts_as_not_told(store: Store) -> None:
    await send_many(store, 1)
    await claim(store)
    assert await store.absences.settle(ROOM, "another") == 0
    assert await store.absences.settle(ROOM, given_up=True) == 2
    assert await store.absences.settle(ROOM, given_up=True) == 0
    found = await look(store)
    assert [who.told for who in found.absent] == [False, False]
    assert not found.claimed


async def test_a_notification_of_what_the_log_has_lost_is_not_outstanding(store: Store) -> None:
    await send_many(store, 3)
    await claim(store)
    await store.absences.settle(ROOM, "e1")
    # As after a failover to a replica without the tail.
    await store._wire.command("HSET", store._keys.meta(ROOM), "seq", "1", "last", "1-1")
    assert [who.told for who in (await look(store)).absent] == [False, False]


async def test_delivered_counts_where_the_settings_say_so(store: Store) -> None:
    by_delivery = Absences(store._wire, store._keys, by="delivered")
    await send_many(store, 1)
    await store.cursors.flush({ROOM: [CursorMove(uid=BOB, delivered="1")]})
    (found,) = await by_delivery.look([ROOM])
    assert isinstance(found, Look)
    assert [who.uid for who in found.absent] == [CAROL]
    assert names(await by_delivery.claim(ROOM, "e", await look(store), (await look(store)).absent)) == [CAROL]


async def test_a_large_claim_is_kept_whole(real_store: Store) -> None:
    users = [Uid(f"u{n}") for n in range(2500)]
    await real_store.members.add(ROOM, [(uid, Role.MEMBER) for uid in users])
    await send_many(real_store, 1)
    seen = await look(real_store)
    everybody = [Absent(uid, 1, False, False, Prefs()) for uid in users]
    made = await real_store.absences.claim(ROOM, "e", seen, everybody)
    assert made is not None
    assert len(made.users) == 2500
    assert await real_store.absences.settle(ROOM, "e", given_up=True) == 2500
    assert (await real_store._wire.command("ZCARD", real_store._keys.told(ROOM))) == 0


async def test_preferences_are_kept_seen_and_changed_one_by_one(store: Store) -> None:
    await store.absences.prefer(ROOM, BOB, notify="mentions", mute_until=None)
    await store.absences.prefer(ROOM, BOB, notify=None, mute_until=5_000)
    rows = [(await store.conversations.rows(uid, [RowRequest(ROOM)]))[0] for uid in (BOB, ALICE)]
    assert [row.prefs for row in rows if row] == [Prefs("mentions", 5_000), Prefs("all", None)]
    await send_many(store, 1)
    assert {who.uid: who.prefs for who in (await look(store)).absent}[BOB] == Prefs("mentions", 5_000)
    await store.absences.prefer(ROOM, BOB, notify="all", mute_until=0)
    assert await store._wire.command("EXISTS", store._keys.prefs(ROOM)) == 0, "the default takes no room"


async def test_preferences_are_for_members(store: Store) -> None:
    with pytest.raises(NotAMember, match="mallory"):
        await store.absences.prefer(ROOM, Uid("mallory"), notify="none", mute_until=None)
    with pytest.raises(NoSuchConversation, match="nowhere"):
        await store.absences.prefer(Cid("nowhere"), BOB, notify="none", mute_until=None)


async def test_who_leaves_takes_its_preferences_and_what_it_was_told_along(store: Store) -> None:
    await store.absences.prefer(ROOM, BOB, notify="none", mute_until=None)
    await send_many(store, 1)
    await claim(store)
    await store.members.remove(ROOM, [BOB])
    await store.members.add(ROOM, [(BOB, Role.MEMBER)])
    await send(store, "b")
    (bob,) = [who for who in (await look(store)).absent if who.uid == BOB]
    assert (bob.told, bob.prefs) == (False, Prefs())


async def test_a_deleted_conversation_leaves_nothing(real_store: Store) -> None:
    await real_store.absences.prefer(ROOM, BOB, notify="none", mute_until=None)
    await send_many(real_store, 1)
    await claim(real_store)
    await real_store.conversations.delete(ROOM)
    assert await real_store._wire.command("KEYS", "pp:{c:room}:[^c]*") == [b"pp:{c:room}:deleted"]
    assert await real_store._wire.command("KEYS", "pp:{c:room}:claim") == []
