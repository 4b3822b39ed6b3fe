"""Doorbells: what rings, in which order, and through a Redis that goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from redis import exceptions as redis_errors

from pushpull import settings
from pushpull.model import Cid, Role, SessionId, Uid
from pushpull.store import Announcement, Bell, Bells, ControlSubscribed, ProbeEcho, Ring, Store, Subscribed
from pushpull.store.connection import connect
from pushpull.store.ear import Ear
from tests.servers import RedisServer
from tests.store.conftest import ALICE, BOB, ROOM
from tests.store.drafts import send, send_many


@pytest.fixture
async def bells(store: Store) -> AsyncIterator[Bells]:
    """A listener that hears `room`, with the confirmations already taken."""
    bells = store.bells()
    await bells.start("n1")
    await bells.subscribe([ROOM])
    assert set(await heard(bells, 2)) == {ControlSubscribed(), Subscribed(ROOM)}
    yield bells
    await bells.aclose()


def the_ear(bells: Bells) -> Ear:
    """The one that hears the control channel."""
    return next(ear for ear in bells._ears.values() if bells._control in ear.wanted)


async def heard(bells: Bells, count: int) -> list[Ring | None]:
    return [await bells.next(5) for _ in range(count)]


def by_kind(rings: list[Ring | None]) -> tuple[Bell, Announcement]:
    """A bell and an announcement: on a cluster they come from two servers, in any order."""
    first, second = sorted(rings, key=lambda ring: isinstance(ring, Announcement))
    assert isinstance(first, Bell)
    assert isinstance(second, Announcement)
    return first, second


async def a_bell(bells: Bells) -> Bell:
    found = await bells.next(5)
    assert isinstance(found, Bell)
    return found


async def test_a_bell_carries_the_entry_and_the_id_before_it(store: Store, bells: Bells) -> None:
    await send(store, "m1", body='{"text":"ü"}'.encode(), mentions=("bob",))
    await send(store, "m2", sender=None, own=False, kind="sys.note", ref=1, quiet=True)
    first, second = await a_bell(bells), await a_bell(bells)
    read = await store.log.read(ROOM, after=0)
    assert [first.entry, second.entry] == list(read.entries)
    assert (first.prev, first.id, second.prev, second.id) == ("0-0", read.entries[0].id, first.id, read.head.last_id)
    assert (second.epoch, second.mver, second.floor, second.count) == (read.head.epoch, read.head.mver, 1, 1)


async def test_a_large_message_does_not_ride_on_the_bell(store: Store, bells: Bells) -> None:
    log_id = await send(store, "m1", body=b'"' + b"x" * 600 + b'"')
    bell = await a_bell(bells)
    assert (bell.id, bell.entry) == (log_id, None)


async def test_what_was_heard_together_is_ready_together_and_in_order(real_store: Store) -> None:
    bells = real_store.bells()
    await bells.start("n1")
    await bells.subscribe([ROOM])
    await heard(bells, 2)
    ids = await send_many(real_store, 4)

    together = [await bells.next(5), *bells.ready()]

    assert [ring.id for ring in together if isinstance(ring, Bell)] == ids
    assert await bells.next(0.05) is None
    await bells.aclose()


async def test_trouble_among_what_was_heard_together_is_met_after_what_came_before_it(
    real_store: Store,
) -> None:
    bells = real_store.bells()
    await bells.start("n1")
    await heard(bells, 1)
    probe = [b"smessage", b"pp:probe:n1", b"token"]
    the_ear(bells)._ahead.extend([probe, redis_errors.ResponseError("refused"), probe])

    assert bells.ready() == [ProbeEcho("token")]
    assert await bells.next(5) == ControlSubscribed()  # heard on a new connection
    await bells.aclose()


async def test_a_duplicate_does_not_ring(store: Store, bells: Bells) -> None:
    await send(store, "m1")
    await send(store, "m1")
    await send(store, "m2")
    assert [(await a_bell(bells)).id.partition("-")[0] for _ in range(2)] == ["1", "2"]


async def test_announcements_are_numbered(store: Store, bells: Bells) -> None:
    await store.presence.kick(ALICE)
    await store.presence.kick(BOB)

    one, other = [await bells.next(5) for _ in range(2)]

    assert isinstance(one, Announcement)
    assert isinstance(other, Announcement)
    assert one.number + 1 == other.number == await store.presence.last_announced()


async def test_adding_a_member_again_says_so_again(store: Store, bells: Bells) -> None:
    """The answer to the first call, or what it had to say, may have been lost."""
    for _ in range(2):
        await store.members.add(ROOM, [(Uid("dave"), Role.MEMBER)])

    heard = [await bells.next(5) for _ in range(3)]

    assert heard.count(Announcement(kind="joined", cid=ROOM, users=(Uid("dave"),))) == 2


async def test_changes_of_members_and_settings_ring_with_a_new_mver(store: Store, bells: Bells) -> None:
    log_id = await send(store, "m1")
    mver = (await a_bell(bells)).mver
    await store.conversations.put(ROOM, {"mode": "push"})
    bell = await a_bell(bells)
    assert (bell.id, bell.prev, bell.mver, bell.entry) == (log_id, log_id, mver + 1, None)
    await store.members.add(ROOM, [(Uid("dave"), Role.MEMBER)])
    bell, said = by_kind(await heard(bells, 2))
    assert (bell.mver, said) == (mver + 2, Announcement(kind="joined", cid=ROOM, users=(Uid("dave"),)))
    await store.members.remove(ROOM, [Uid("dave"), Uid("nobody")])
    bell, said = by_kind(await heard(bells, 2))
    assert (bell.mver, said) == (mver + 3, Announcement(kind="left", cid=ROOM, users=(Uid("dave"),)))


async def test_a_moved_epoch_and_floor_ring(store: Store, bells: Bells) -> None:
    await send_many(store, 5)
    await heard(bells, 5)
    epoch = await store.log.move_epoch(ROOM, (await store.conversations.head(ROOM)).epoch)
    assert (await a_bell(bells)).epoch == epoch
    await store.conversations.put(ROOM, {"retain_messages": 2})
    await store.sweeper.sweep(ROOM)
    assert [(await a_bell(bells)).floor, (await a_bell(bells)).floor] == [1, 4]


async def test_a_deletion_rings_and_is_announced(store: Store, bells: Bells) -> None:
    await send(store, "m1")
    await heard(bells, 1)
    await store.conversations.delete(ROOM)
    bell, said = by_kind(await heard(bells, 2))
    assert (bell.id, bell.prev) == ("0-0", "0-0")
    assert (said.kind, said.cid, set(said.users)) == ("deleted", ROOM, {"alice", "bob", "carol"})


async def test_many_who_join_are_announced_in_slices(store: Store, bells: Bells) -> None:
    await store.members.add(ROOM, [(Uid(f"u{i}"), Role.MEMBER) for i in range(2500)])
    said = [each for each in await heard(bells, 5) if isinstance(each, Announcement)]
    assert [len(each.users) for each in said] == [1000, 1000, 500]


async def test_kicks_and_revocations_are_announced(store: Store, bells: Bells) -> None:
    await store.presence.kick(ALICE, SessionId("s1"))
    await store.presence.kick(BOB)
    await store.presence.revoke_before(ALICE, 17)
    assert await heard(bells, 3) == [
        Announcement(kind="kick", users=(ALICE,), session=SessionId("s1")),
        Announcement(kind="kick", users=(BOB,)),
        Announcement(kind="revoked", users=(ALICE,), ts=17),
    ]


async def test_a_probe_comes_back_to_its_own_node_alone(store: Store, bells: Bells) -> None:
    other = store.bells()
    await other.start("n2")
    assert await other.next(5) == ControlSubscribed()
    await bells.probe("token 1")
    assert set(await heard(bells, len(bells.shards()))) == {ProbeEcho("token 1", shard) for shard in bells.shards()}
    assert await other.next(0.05) is None
    await other.aclose()


async def test_one_who_unsubscribed_hears_nothing_more(store: Store, bells: Bells) -> None:
    await bells.unsubscribe([ROOM])
    await send(store, "m1")
    assert await bells.next(0.05) is None
    await bells.subscribe([ROOM])
    assert await bells.next(5) == Subscribed(ROOM)


async def test_to_leave_and_come_back_at_once_keeps_the_connection(store: Store, bells: Bells) -> None:
    before = the_ear(bells)._connection
    await bells.unsubscribe([ROOM])
    await bells.subscribe([ROOM])
    assert await bells.next(5) == Subscribed(ROOM)
    await send(store, "m1")
    assert isinstance(await bells.next(5), Bell)
    assert the_ear(bells)._connection is before


async def test_a_payload_nobody_understands_means_read_the_log(
    store: Store, bells: Bells, caplog: pytest.LogCaptureFixture
) -> None:
    for payload in (b"", b"9 of another release", b"1 5-1 4-1 e 1 1 1 not json", b"1 x y z", b"\xff\xfe"):
        await store._wire.command("SPUBLISH", "pp:{c:room}:bell", payload)
        assert await bells.next(5) == Subscribed(ROOM)
    await store._wire.command("SPUBLISH", "pp:control", b"{")
    assert await bells.next(5) == ControlSubscribed()
    assert [record.levelname for record in caplog.records if record.name.startswith("pushpull")] == ["WARNING"]


async def test_a_timeout_is_none(bells: Bells) -> None:
    assert await bells.next(0.02) is None
    assert await bells.next(0) is None


async def test_a_cancelled_next_loses_nothing(store: Store, bells: Bells) -> None:
    waiting = asyncio.create_task(bells.next(5))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    log_id = await send(store, "m1")
    assert (await a_bell(bells)).id == log_id


async def test_a_lost_connection_says_subscribed_again_for_each(redis_server: RedisServer, real_store: Store) -> None:
    bells = real_store.bells()
    await bells.start("n1")
    cids = [Cid(f"c{i}") for i in range(600)]
    await bells.subscribe([ROOM])
    await bells.subscribe(cids)
    await heard(bells, 602)
    redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")
    again = await heard(bells, 602)
    assert {each.cid for each in again if isinstance(each, Subscribed)} == {ROOM, *cids}
    assert again.count(ControlSubscribed()) == 1
    log_id = await send(real_store, "m1")
    assert (await a_bell(bells)).id == log_id
    await bells.aclose()


async def test_bells_ride_through_a_restart(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly=True)
    store = await Store.open(settings.Settings(), url=server.url)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    bells = store.bells()
    await bells.start("n1")
    await bells.subscribe([ROOM])
    await heard(bells, 2)
    server.stop()
    assert await bells.next(0.3) is None
    await bells.subscribe([Cid("meanwhile")])
    server.start()
    assert set(await heard(bells, 3)) == {ControlSubscribed(), Subscribed(ROOM), Subscribed(Cid("meanwhile"))}
    await send(store, "m1")
    assert (await a_bell(bells)).cid == ROOM
    await bells.aclose()
    await store.aclose()


async def test_a_hung_server_is_given_up_after_four_silent_seconds(redis_server: RedisServer, redis_url: str) -> None:
    now = 0.0
    store = Store(connect(redis_url), settings.Settings())
    bells = Bells(store._servers, store._keys, clock=lambda: now)
    await bells.start("n1")
    assert await bells.next(5) == ControlSubscribed()
    ear = the_ear(bells)
    redis_server.pause()
    now = 2.5
    await ear._keep_alive(ear._connection)
    now = 4.5
    with pytest.raises(Exception, match="silent"):
        await ear._keep_alive(ear._connection)
    redis_server.resume()
    await bells.aclose()
    await store.aclose()


async def test_what_is_subscribed_to_while_all_is_placed_anew_is_heard(
    cluster_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(connect(cluster_url), settings.Settings())
    await store._servers.open()
    bells = store.bells()
    await bells.start("n1")
    placing, go_on, leave = asyncio.Event(), asyncio.Event(), Ear.unsubscribe

    async def slowly(ear: Ear, channels: Iterable[bytes]) -> None:
        placing.set()
        await go_on.wait()
        await leave(ear, channels)

    monkeypatch.setattr(Ear, "unsubscribe", slowly)
    store._servers.version += 1  # something has gone elsewhere
    hearing = asyncio.create_task(bells.next(0.01))
    await placing.wait()
    cids = [Cid(f"new{i}") for i in range(12)]  # on all of the servers
    subscribing = asyncio.create_task(bells.subscribe(cids))
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(hearing, subscribing)

    wanted = {channel for ear in bells._ears.values() for channel in ear.wanted}
    assert {store._keys.bell(cid).encode() for cid in cids} <= wanted
    await bells.aclose()
    await store.aclose()


async def test_a_connection_that_is_refused_again_and_again_is_tried_later_and_later(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now, ceilings = 0.0, []
    monkeypatch.setattr("pushpull.store.ear.random.uniform", lambda low, high: ceilings.append(high) or 0.0)
    store = Store(connect(redis_url), settings.Settings())
    bells = Bells(store._servers, store._keys, clock=lambda: now)
    await bells.start("n1")
    assert await bells.next(5) == ControlSubscribed()

    for at in (10.0, 10.1, 10.2, 20.0):
        now = at
        the_ear(bells)._ahead.append(redis_errors.MovedError("1 127.0.0.1:1"))
        assert await bells.next(5) == ControlSubscribed()

    assert ceilings == [0.05, 0.1, 0.2, 0.05]
    assert sum("is lost" in record.message for record in caplog.records) == 2
    await bells.aclose()
    await store.aclose()
