"""A primary goes away and another takes over, or slots move: sends succeed again, bells ring again, nothing twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pushpull import settings
from pushpull.errors import StoreUnavailable
from pushpull.model import Cid, Role, Sent
from pushpull.store import Bell, Bells, Store
from tests.servers import RedisCluster, RedisServer, SentinelSetup, wait_until
from tests.store.conftest import ALICE
from tests.store.drafts import draft

ROOMS = [Cid(f"room{i}") for i in range(24)]
SUCCEEDS_AGAIN_S = 8.0
UNNOTICED_S = 1.0


@asynccontextmanager
async def opened(url: str, **redis: Any) -> AsyncIterator[Store]:
    store = await Store.open(settings.Settings(redis=settings.Redis(prefix="pp:", **redis)), url=url)
    for cid in ROOMS:
        await store.conversations.put(cid, {}, members=[(ALICE, Role.MEMBER)])
    try:
        yield store
    finally:
        await store.aclose()


@asynccontextmanager
async def listening(store: Store, cids: list[Cid]) -> AsyncIterator[Bells]:
    bells = store.bells()
    await bells.start("n1")
    await bells.subscribe(cids)
    for _ in range(1 + len(cids)):
        assert await bells.next(5) is not None
    try:
        yield bells
    finally:
        await bells.aclose()


async def stored(store: Store, cid: Cid, cmid: str, *, within_s: float = SUCCEEDS_AGAIN_S) -> Sent:
    """Send until it is stored, as a client does: under the same cmid."""
    give_up = time.monotonic() + within_s
    while True:
        (result,) = await store.log.append([draft(cmid, cid=cid)])
        if isinstance(result, Sent):
            return result
        assert isinstance(result, StoreUnavailable), result
        assert time.monotonic() < give_up, f"not stored within {within_s} s: {result}"


async def rings_again(store: Store, bells: Bells, cid: Cid, *, within_s: float = SUCCEEDS_AGAIN_S) -> None:
    """Send until a bell is heard: what was sent while nobody listened is for the log to tell."""
    async with asyncio.timeout(within_s):
        while True:
            log_id = (await stored(store, cid, f"ring{time.monotonic_ns()}")).id
            give_up = time.monotonic() + 0.3
            while time.monotonic() < give_up:
                ring = await bells.next(0.1)
                if isinstance(ring, Bell) and (ring.cid, ring.id) == (cid, log_id):
                    return


def rooms_on(cluster: RedisCluster, server: RedisServer) -> tuple[list[Cid], list[Cid]]:
    """The rooms a server is primary of, and the others."""
    mine = [cid for cid in ROOMS if cluster.primary_of(f"pp:{{c:{cid}}}:log") is server]
    return mine, [cid for cid in ROOMS if cid not in mine]


async def slowest_of(store: Store, cids: list[Cid], until: asyncio.Event) -> float:
    """Send to these rooms all the time; how long the slowest send took (s). Each must be stored."""
    slowest, n = 0.0, 0
    while not until.is_set():
        for cid in cids:
            began = time.monotonic()
            (result,) = await store.log.append([draft(f"busy{n}", cid=cid)])
            assert isinstance(result, Sent), result
            slowest = max(slowest, time.monotonic() - began)
            n += 1
        await asyncio.sleep(0.01)
    return slowest


async def test_a_killed_primary_is_ridden_through_and_other_shards_do_not_notice(
    start_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = start_cluster(replicas=1)
    victim = cluster.primary_of(f"pp:{{c:{ROOMS[0]}}}:log")
    mine, others = rooms_on(cluster, victim)
    async with opened(cluster.url) as store, listening(store, ROOMS) as bells:
        first = await stored(store, ROOMS[0], "before")
        victim.ask("WAIT", "1", "1000")
        over = asyncio.Event()
        busy = asyncio.create_task(slowest_of(store, others[:3], over))
        victim.kill()

        again = await stored(store, ROOMS[0], "before")
        sent = await stored(store, ROOMS[0], "after")
        over.set()

        assert (again.dup, again.id, sent.dup) == (True, first.id, False)
        await rings_again(store, bells, ROOMS[0])
        for cid in mine:
            await stored(store, cid, "all", within_s=1)
        assert await busy < UNNOTICED_S
        async with asyncio.timeout(5):
            while not (health := await store.health()).ok:
                await asyncio.sleep(0.05)
        assert health.detail == ""


async def test_a_primary_that_hangs_is_replaced_and_others_do_not_notice(
    start_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = start_cluster(replicas=1)
    victim = cluster.primary_of(f"pp:{{c:{ROOMS[0]}}}:log")
    _, others = rooms_on(cluster, victim)
    async with opened(cluster.url) as store, listening(store, ROOMS) as bells:
        over = asyncio.Event()
        busy = asyncio.create_task(slowest_of(store, others[:3], over))
        victim.pause()
        unwell = await store.health()

        sent = await stored(store, ROOMS[0], "after")
        over.set()

        assert not unwell.ok
        assert not sent.dup
        await rings_again(store, bells, ROOMS[0])
        assert await busy < UNNOTICED_S
        victim.resume()
        await rings_again(store, bells, ROOMS[0])


async def test_a_slot_that_moves_takes_its_bells_along(start_cluster: Callable[..., RedisCluster]) -> None:
    cluster = start_cluster()
    room = ROOMS[0]
    key = f"pp:{{c:{room}}}:log"
    source = cluster.primary_of(key)
    target = next(server for server in cluster.servers if server is not source)
    async with opened(cluster.url) as store, listening(store, [room]) as bells:
        await stored(store, room, "m1")

        cluster.move_slot(key, target)

        assert (await stored(store, room, "m1")).dup
        assert (await stored(store, room, "m2", within_s=2)).id[0] == "2"
        await rings_again(store, bells, room)


@pytest.mark.parametrize("how", ["kill", "pause"])
async def test_under_sentinel_another_takes_over(how: str, start_sentinel: Callable[..., SentinelSetup]) -> None:
    setup = start_sentinel(replicas=1)
    victim, room = setup.primary(), ROOMS[0]
    (other,) = setup.replicas()
    async with opened(setup.url) as store, listening(store, [room]) as bells:
        first = await stored(store, room, "before")
        victim.ask("WAIT", "1", "1000")
        getattr(victim, how)()

        again = await stored(store, room, "before")
        sent = await stored(store, room, "after")

        assert (again.dup, again.id, sent.dup) == (True, first.id, False)
        assert other.role() == "master"  # not every sentinel says so at once
        await rings_again(store, bells, room)
        assert (await store.health()).ok
        if how == "pause":
            victim.resume()
            setup.wait_ready()
            await rings_again(store, bells, room)


async def test_who_hung_together_with_the_primary_does_not_go_on_with_it(
    start_sentinel: Callable[..., SentinelSetup],
) -> None:
    setup = start_sentinel(replicas=1)
    victim, room = setup.primary(), ROOMS[0]
    (other,) = setup.replicas()
    async with opened(setup.url) as store:
        await stored(store, room, "before")
        victim.ask("WAIT", "1", "1000")

        victim.pause()
        wait_until(lambda: setup.primary() is other, "a replica took over")  # nothing else runs here meanwhile
        victim.resume()
        sent = await stored(store, room, "after")

        assert other.ask("HGET", f"pp:{{c:{room}}}:meta", "last").strip() == sent.id


async def test_replicated_is_answered_as_stored_only_when_the_replicas_have_it(
    start_cluster: Callable[..., RedisCluster],
) -> None:
    cluster = start_cluster(primaries=1, replicas=1)
    (replica,) = cluster.replicas_of(cluster.primaries()[0])
    room = ROOMS[0]
    async with opened(cluster.url, durability="replicated", replicas=1) as store:
        await stored(store, room, "m1")
        replica.pause()

        new, dup = await store.log.append([draft("m2", cid=room), draft("m1", cid=room)])
        (again,) = await store.log.append([draft("m2", cid=room)])

        for refused in (new, dup, again):
            assert str(refused) == "stored, not known to be replicated: retry with the same cmid"
        replica.resume()
        sent = await stored(store, room, "m2")
        assert (sent.dup, sent.id[0]) == (True, "2")


async def test_a_primary_with_too_few_replicas_is_not_ready(
    start_cluster: Callable[..., RedisCluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = start_cluster(primaries=1, replicas=1)
    (replica,) = cluster.replicas_of(cluster.primaries()[0])
    async with opened(cluster.url, durability="replicated", replicas=1) as store:
        assert (await store.health()).ok
        replica.kill()
        wait_until(lambda: "connected_slaves:0" in cluster.primaries()[0].ask("INFO", "replication"), "it is missed")

        health = await store.health()

        assert (health.writable, health.detail) == (
            False,
            "redis has 0 replicas in sync, expected 1 (redis.replicas)",
        )
    async with asyncio.timeout(5):
        store = await Store.open(
            settings.Settings(redis=settings.Redis(durability="replicated", replicas=1)), url=cluster.url
        )
    assert "has 0 replicas in sync and redis.replicas is 1" in caplog.text
    await store.aclose()
