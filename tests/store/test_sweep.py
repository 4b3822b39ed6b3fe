"""The sweeper: floors that move by age and number where nobody appends."""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis

from pushpull.model import Cid, Role
from pushpull.store import Store
from tests.store.conftest import ALICE, ROOM
from tests.store.drafts import send, send_many
from tests.store.planting import id_at, plant

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000


async def test_messages_older_than_the_days_kept_go(make_store: Callable[..., Store], client: Redis) -> None:
    store = make_store(days=2)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    await plant(client, [id_at(seq, NOW_MS - (10 - seq) * DAY_MS // 2) for seq in range(1, 11)])
    assert await store.sweeper.sweep(ROOM, now_ms=NOW_MS) == 5
    assert (await store.conversations.head(ROOM)).floor == 6
    assert await client.xlen("pp:{c:room}:log") == 5
    assert await store.sweeper.sweep(ROOM, now_ms=NOW_MS) == 0


async def test_a_log_may_become_empty_and_go_on(store: Store, client: Redis) -> None:
    await store.conversations.put(ROOM, {"retain_days": 1})
    await plant(client, [id_at(seq, NOW_MS) for seq in (1, 2, 3)])
    assert await store.sweeper.sweep(ROOM, now_ms=NOW_MS + 2 * DAY_MS) == 3
    read = await store.log.read(ROOM, after=0, anchor=id_at(3, NOW_MS))
    assert (read.head.floor, read.head.seq, read.entries, read.verdict) == (4, 3, (), "same")
    await send(store, "m1")
    assert [entry.seq for entry in (await store.log.read(ROOM, after=3)).entries] == [4]


async def test_a_lowered_retain_messages_takes_effect(store: Store) -> None:
    await send_many(store, 10)
    await store.conversations.put(ROOM, {"retain_messages": 4})
    assert await store.sweeper.sweep(ROOM) == 6


async def test_nothing_goes_when_nothing_is_set(store: Store) -> None:
    await send_many(store, 3)
    assert await store.sweeper.sweep(ROOM, now_ms=NOW_MS * 2) == 0
    assert await store.sweeper.sweep(Cid("nowhere")) == 0


async def test_edits_and_redactions_below_the_floor_are_forgotten(store: Store, client: Redis) -> None:
    await send_many(store, 4)
    await send(store, "e1", kind="edit", ref=1, quiet=True)
    await send(store, "e3", kind="edit", ref=3, quiet=True)
    await send(store, "redact:2", kind="redact", ref=2, quiet=True)
    await send(store, "redact:4", kind="redact", ref=4, quiet=True)
    await store.conversations.put(ROOM, {"retain_messages": 6})
    await store.sweeper.sweep(ROOM)
    assert sorted(await client.hkeys("pp:{c:room}:edits")) == [b"3", b"3:ids"]
    assert await client.hkeys("pp:{c:room}:redacted") == [b"4"]


async def test_one_node_sweeps_everything(store: Store) -> None:
    for name in ("a", "b"):
        await store.conversations.put(Cid(name), {"retain_days": 1}, members=[(ALICE, Role.MEMBER)])
        await send_many(store, 5, cid=Cid(name))
    assert await store.sweeper.sweep_all(every_s=60, now_ms=NOW_MS * 2) == 10
    assert await store.sweeper.sweep_all(every_s=60) is None
