"""A user is taken out of a conversation: found where it stands, redacted, and gone from the bytes of the log."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pushpull.model import Cid, Role, Uid
from pushpull.store import CursorMove, PendingRow, Store, erasure
from tests.store.conftest import ALICE, BOB, CAROL, ROOM, keys_of
from tests.store.drafts import draft, send, send_many

LOG = "pp:{c:room}:log"
DAVE = Uid("dave")


async def all_of(steps: AsyncIterator[Any]) -> list[Any]:
    return [step async for step in steps]


async def found(store: Store, uid: Uid) -> list[Cid]:
    return sorted([cid async for cids in store.erasure.every() for cid in await store.erasure.naming(uid, cids)])


async def test_a_member_is_found_and_one_who_left_after_something_was_said(store: Store) -> None:
    await store.conversations.put(Cid("other"), {}, members=[(BOB, Role.MEMBER)])
    await send(store, "m")
    await store.members.remove(ROOM, [ALICE])

    assert await found(store, ALICE) == [ROOM]
    assert await found(store, BOB) == ["other", ROOM]


async def test_one_who_left_before_anything_was_said_leaves_no_trace(store: Store, client: Any) -> None:
    await store.members.remove(ROOM, [ALICE])
    assert await found(store, ALICE) == []
    assert not await client.exists("pp:{c:room}:past")


async def test_a_sender_that_a_server_names_and_whoever_is_mentioned_is_found_without_being_a_member(
    store: Store,
) -> None:
    await send(store, "a", sender=DAVE, own=False)
    await send(store, "b", mentions=("erin", "bob", "*"))
    await send(store, "c", sender=None, own=False, mentions=("frank",), quiet=True)

    assert [await found(store, Uid(uid)) for uid in ("dave", "erin", "frank")] == [[ROOM]] * 3
    assert await store.erasure.naming(Uid("*"), [ROOM]) == []


async def test_a_member_costs_no_row_among_the_past(store: Store, client: Any) -> None:
    await send(store, "a", mentions=("bob",))
    await send(store, "b", sender=BOB, own=False)
    assert not await client.exists("pp:{c:room}:past")


async def test_who_left_is_forgotten_when_nothing_of_it_can_be_in_the_log(
    make_store: Callable[..., Store], client: Any
) -> None:
    store = make_store(retained=10, conversation_sends_per_s=1e6)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MEMBER)])
    await send(store, "m")
    await store.members.remove(ROOM, [BOB])
    await store.log.append([draft(f"n{i}") for i in range(1000)])
    await store.sweeper.sweep(ROOM)
    assert await found(store, BOB) == [ROOM], "it may still be in the node of the stream that is trimmed last"
    await store.log.append([draft(f"o{i}") for i in range(100)])
    await store.sweeper.sweep(ROOM)
    assert await found(store, BOB) == []
    assert not await client.exists("pp:{c:room}:past")


async def test_a_user_is_forgotten_by_all_but_the_log(store: Store, client: Any) -> None:
    await send(store, "m1")
    await send(store, "m2", sender=BOB, mentions=("alice", "carol"))
    await send(store, "m3", sender=BOB, mentions=("alice",))
    await store.absences.prefer(ROOM, ALICE, notify="mentions", mute_until=9)
    look = (await store.absences.look([ROOM]))[0]
    assert await store.absences.claim(ROOM, "e", look, look.absent)  # type: ignore[union-attr, arg-type]
    noted = PendingRow(
        user=ALICE, device="d", session="s", first=1, last=2, delivery_count=2, first_sent_ms=1, last_sent_ms=2
    )
    await store.pending.note(ROOM, [noted])

    await all_of(store.erasure.forget(ROOM, ALICE))
    await store.erasure.forget_row(ROOM, ALICE)

    for key in await keys_of(client):
        if key != LOG.encode():
            assert b"alice" not in key + await contents(client, key), key
    assert await client.zrange("pp:{c:room}:mentions", 0, -1) == [b"2 ,carol,"]
    assert {owed.uid for owed in (await store.absences.claimed(ROOM)).users} == {CAROL}  # type: ignore[union-attr]
    assert await found(store, ALICE) == []


async def contents(client: Any, key: bytes) -> bytes:
    """Fields and values of one key, one after the other."""
    kind = (await client.type(key)).decode()
    if kind == "string":
        return bytes(await client.get(key))
    if kind == "hash":
        return b" ".join(itertools.chain(*(await client.hgetall(key)).items()))
    assert kind == "zset", kind
    return b" ".join(await client.zrange(key, 0, -1))


async def test_what_a_user_sent_is_redacted_with_its_edits_and_reactions(store: Store) -> None:
    await send(store, "m1", body=b'"one"')
    await send(store, "m2", sender=BOB)
    await send(store, "e1", kind="edit", ref=1, quiet=True, body=b'"uno"')
    await send(store, "r1", kind="reaction", ref=2, quiet=True)

    assert sum(await all_of(store.erasure.redact(ROOM, ALICE))) == 3

    read = await store.log.read(ROOM, after=0)
    assert [(each.seq, each.sender, each.kind, each.ref) for each in read.entries] == [
        (2, BOB, "message", None),
        (5, None, "redact", 1),
        (6, None, "redact", 4),
    ]
    assert [each.cmid for each in read.entries[1:]] == ["redact:1", "redact:4"]
    assert read.head.seq == 6


async def test_redacting_again_finds_nothing_more(store: Store) -> None:
    await send_many(store, 3)
    assert await all_of(store.erasure.redact(ROOM, ALICE)) == [3]
    assert await all_of(store.erasure.redact(ROOM, ALICE)) == [0]
    assert (await store.conversations.head(ROOM)).seq == 6


async def test_unread_and_cursors_of_the_others_stay(store: Store) -> None:
    ids = await send_many(store, 4)
    await send(store, "b", sender=BOB)
    await store.cursors.flush({ROOM: [CursorMove(uid=CAROL, delivered=ids[2], read=ids[1])]})
    before = [await store.cursors.get(ROOM, uid) for uid in (BOB, CAROL)]

    await all_of(store.erasure.forget(ROOM, ALICE))
    await all_of(store.erasure.redact(ROOM, ALICE))

    assert [await store.cursors.get(ROOM, uid) for uid in (BOB, CAROL)] == before


async def test_redaction_goes_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasure, "ENTRIES", 32)
    for n in range(70):
        await send(store, f"m{n}", sender=(ALICE, BOB)[n % 2])
    steps = await all_of(store.erasure.redact(ROOM, ALICE))
    assert steps[:3] == [16, 16, 3]
    assert sum(steps) == 35


async def test_an_edit_that_outlived_its_message_takes_that_from_the_devices(store: Store, client: Any) -> None:
    await send(store, "m1")
    await send(store, "m2", sender=BOB)
    await send(store, "e1", kind="edit", ref=1, quiet=True)
    await client.hset("pp:{c:room}:meta", "floor", 2)
    await store.sweeper.sweep(ROOM)

    await all_of(store.erasure.redact(ROOM, ALICE))

    read = await store.log.read(ROOM, after=1)
    assert [(each.seq, each.kind, each.ref) for each in read.entries] == [(2, "message", None), (4, "redact", 1)]
