"""A user is taken out of a conversation: found where it stands, redacted, and gone from the bytes of the log."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from pushpull.model import Cid, LogId, Role, Uid, seq_of
from pushpull.store import CursorMove, PendingRow, Store, Verdict, erasure
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
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

    for key in await client.keys("*"):
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


# ------------------------------------------------------------------------------------------------ rewriting


@pytest.fixture
def rewritable(store: Store, client: Any) -> Store:
    """`store`, where the server knows all that rewriting needs."""
    if isinstance(client, FakeAsyncRedis):
        pytest.skip("fakeredis has no XSETID")
    return store


async def rewrite(store: Store, uid: Uid = ALICE) -> int:
    return len(await all_of(store.erasure.rewrite(ROOM, uid, token="t")))


async def test_a_rewritten_log_has_the_same_ids_and_no_trace_of_the_user(rewritable: Store, client: Any) -> None:
    await send_many(rewritable, 150, body=b'"by her"')
    await send(rewritable, "b1", sender=BOB, mentions=("alice",))
    await send(rewritable, "b2", sender=BOB, mentions=("carol", "alice", "alice2"))
    await send(rewritable, "redact:3", kind="redact", ref=3, quiet=True)
    await send(rewritable, "b3", sender=BOB, kind="photo", quiet=True, ref=1)
    await all_of(rewritable.erasure.redact(ROOM, ALICE))
    before = await client.xrange(LOG)
    info = await client.xinfo_stream(LOG)
    assert b"alice" in await dumped(client)

    await rewrite(rewritable)

    after = await client.xrange(LOG)
    assert [each for each, _ in after] == [each for each, _ in before]
    assert {each: fields for each, fields in after if fields not in dict(before).values()} == {
        before[0][0]: {b"from": b"bob", b"cmid": b"b1", b"kind": b"message", b"body": b'{"text":"hi"}'},
        before[1][0]: {**before[1][1], b"mentions": b'["carol","alice2"]'},
        before[2][0]: {**before[2][1], b"from": b""},
    }
    bytes_ = await dumped(client)
    assert bytes_.count(b"alice") == bytes_.count(b"alice2") == 1
    assert b"by her" not in bytes_
    now = await client.xinfo_stream(LOG)
    for name in ("last-generated-id", "entries-added", "max-deleted-entry-id", "length"):
        assert now[name] == info[name], name
    assert await client.ttl(LOG) == -1
    assert not await client.keys("*copy*")


async def dumped(client: Any) -> bytes:
    """The log as Redis writes it to disk, uncompressed."""
    await client.config_set("rdbcompression", "no")
    return bytes(await client.dump(LOG))


async def test_places_in_a_rewritten_log_are_its_own(rewritable: Store) -> None:
    ids = await send_many(rewritable, 3, sender=BOB)
    gone = await send(rewritable, "a")
    await all_of(rewritable.erasure.redact(ROOM, ALICE))
    await rewrite(rewritable)

    async def verdict(anchor: LogId) -> Verdict:
        return (await rewritable.log.read(ROOM, after=seq_of(anchor), anchor=anchor)).verdict

    assert [await verdict(each) for each in (*ids, gone)] == [*[Verdict.SAME] * 3, Verdict.REDACTED]
    assert (await send(rewritable, "next")).startswith("6-")


async def test_what_is_sent_while_a_log_is_rewritten_is_in_it(
    rewritable: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ENTRIES", 32)
    await send_many(rewritable, 100, sender=BOB)
    steps = rewritable.erasure.rewrite(ROOM, ALICE, token="t")
    await anext(steps)
    await send(rewritable, "meanwhile")
    await all_of(steps)
    assert [each.seq for each in (await rewritable.log.read(ROOM, after=0, limit=500)).entries] == [*range(1, 102)]


async def test_whatever_others_do_while_a_log_is_rewritten_again_and_again_is_kept(
    rewritable: Store, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ENTRIES", 32)
    chance, stands = random.Random(7), {}
    over = asyncio.Event()

    async def write_anew(uid: Uid) -> int:
        rounds = 0
        while not over.is_set() or not rounds:
            await all_of(rewritable.erasure.redact(ROOM, uid))
            async for _ in rewritable.erasure.rewrite(ROOM, uid, token=uid):
                await asyncio.sleep(0)
            rounds += 1
        return rounds

    async def talk() -> None:
        for n in range(120):
            body = b"%d" % n
            about = chance.choice(sorted(stands)) if len(stands) > 9 else 0
            if about and n % 10 == 0:
                await send(rewritable, f"r{n}", sender=BOB, kind="redact", ref=about, quiet=True)
                del stands[about]
            elif about and n % 10 == 5:
                await send(rewritable, f"e{n}", sender=BOB, kind="edit", ref=about, quiet=True, body=body)
                stands[about] = body
            else:
                stands[seq_of(await send(rewritable, f"m{n}", sender=BOB, body=body, mentions=("dave",)))] = body
                await send(rewritable, f"a{n}")
        over.set()

    rounds, again, _ = await asyncio.gather(write_anew(ALICE), write_anew(DAVE), talk())
    await write_anew(ALICE)
    await write_anew(DAVE)

    assert min(rounds, again) > 2
    read = await rewritable.log.read(ROOM, after=0, limit=5000)
    assert {each.seq: each.body for each in read.entries if each.kind == "message"} == stands
    assert {each.mentions for each in read.entries} == {()}
    assert b"alice" not in await dumped(client)
    assert not await client.keys("*copy*")


async def test_what_is_redacted_while_a_log_is_rewritten_does_not_come_back(
    rewritable: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ENTRIES", 32)
    await send_many(rewritable, 100, sender=BOB)
    steps = rewritable.erasure.rewrite(ROOM, ALICE, token="t")
    await anext(steps)
    await send(rewritable, "redact:5", sender=BOB, kind="redact", ref=5, quiet=True)
    await all_of(steps)
    seqs = [each.seq for each in (await rewritable.log.read(ROOM, after=0, limit=500)).entries]
    assert seqs == [1, 2, 3, 4, *range(6, 102)]


async def test_a_copy_that_nobody_goes_on_with_expires(
    rewritable: Store, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ENTRIES", 32)
    await send_many(rewritable, 100, sender=BOB)
    await anext(rewritable.erasure.rewrite(ROOM, ALICE, token="t"))
    assert 0 < await client.pttl("pp:{c:room}:copy:t") <= erasure.COPY_EXPIRES_MS


async def test_a_log_in_which_all_was_trimmed_is_left_as_it_is(rewritable: Store, client: Any) -> None:
    await send_many(rewritable, 3)
    await client.hset("pp:{c:room}:meta", "floor", 4)
    await rewritable.sweeper.sweep(ROOM)
    assert await rewrite(rewritable) == 1
    assert (await send(rewritable, "next")).startswith("4-")


async def test_a_conversation_that_is_gone_meanwhile_is_no_trouble(rewritable: Store, client: Any) -> None:
    await send_many(rewritable, 3)
    await rewritable.conversations.delete(ROOM)
    await all_of(rewritable.erasure.forget(ROOM, ALICE))
    assert await all_of(rewritable.erasure.redact(ROOM, ALICE)) == []
    await rewrite(rewritable)
    await rewritable.erasure.forget_row(ROOM, ALICE)
    assert await client.keys("*") == [b"pp:control"]
