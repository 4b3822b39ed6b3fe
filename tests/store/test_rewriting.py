"""A log is written anew: the same ids, without a user and without what was deleted, whatever goes on meanwhile."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis

from pushpull.errors import StoreUnavailable
from pushpull.model import LogId, Uid, seq_of
from pushpull.store import Store, Verdict, erasure
from tests.store.conftest import ALICE, BOB, LEFT_BY_DELETION, ROOM, keys_of
from tests.store.drafts import draft, send, send_many
from tests.store.test_erasure import DAVE, LOG, all_of


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


async def test_a_redaction_meanwhile_takes_the_edits_along_and_nothing_is_begun_anew(
    rewritable: Store, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ENTRIES", 32)
    await send_many(rewritable, 30, sender=BOB)
    for n in (3, 4, 3):
        await send(rewritable, f"e{n}{await client.xlen(LOG)}", sender=BOB, kind="edit", ref=n, quiet=True)
    await rewritable.log.append([draft(f"n{n}", sender=BOB) for n in range(80)])
    steps = rewritable.erasure.rewrite(ROOM, ALICE, token="t")
    for _ in range(2):
        await anext(steps)
    assert await client.hkeys("pp:{c:room}:copy:t:edits")
    await send(rewritable, "redact:3", sender=BOB, kind="redact", ref=3, quiet=True)

    assert len(await all_of(steps)) == 2, "113 entries in steps of 32"

    seqs = [each.seq for each in (await rewritable.log.read(ROOM, after=0, limit=500)).entries]
    assert seqs == [n for n in range(1, 115) if n not in (3, 31, 33)]
    assert not await client.keys("*copy*")


async def test_a_log_that_loses_entries_without_a_word_is_begun_anew_and_at_last_given_up(
    rewritable: Store, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "ENTRIES", 32)
    ids = await send_many(rewritable, 100, sender=BOB)
    steps = rewritable.erasure.rewrite(ROOM, ALICE, token="t")
    await anext(steps)
    await client.xdel(LOG, ids[0])
    assert len(await all_of(steps)) == 3 + 4

    async def lose_and_rewrite() -> None:
        lost = iter(ids[1:])
        async for _ in rewritable.erasure.rewrite(ROOM, ALICE, token="t"):
            await client.xdel(LOG, next(lost))

    with pytest.raises(StoreUnavailable, match="the log of room loses entries all the time"):
        await lose_and_rewrite()
    assert not await client.keys("*copy*")


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
    assert await keys_of(client) == LEFT_BY_DELETION
