"""What is remembered of a user's devices: the last connect and the last close of each."""

from __future__ import annotations

from dataclasses import replace

from redis.asyncio import Redis

from pushpull.model import LINE_LOST, Goodbye, SessionId, Uid
from pushpull.store import SessionRecord, Store
from pushpull.store.devices import DEVICES_MAX, Close, Connect, DeviceRecord
from tests.servers import RedisServer
from tests.store.conftest import ALICE, BOB

KEY = "pp:{u:alice}:devices"
REPLACED = Goodbye(4409, "replaced by another connection", "service")


def session(name: str, device: str = "phone", *, at: int = 1_000, node: str = "n1", uid: Uid = ALICE) -> SessionRecord:
    return SessionRecord(id=SessionId(name), uid=uid, device=device, node=node, client="web/1", connected_at_ms=at)


async def test_a_device_is_remembered_from_its_connect_on(store: Store) -> None:
    await store.presence.open_session(session("s1"))

    assert await store.devices.of(ALICE) == [DeviceRecord("phone", Connect(1_000, "s1", "n1", "web/1"), None)]
    assert await store.devices.of(BOB) == []


async def test_a_close_takes_the_session_off_the_table_and_says_why(store: Store) -> None:
    await store.nodes.beat("n1", {})
    await store.presence.open_session(session("s1"))

    await store.presence.leave(session("s1"), LINE_LOST, at_ms=5_000)

    (device,) = await store.devices.of(ALICE)
    assert device.closed == Close(5_000, "s1", "n1", 1006, "line", "the connection was lost")
    assert await store.presence.sessions(ALICE) == []


async def test_what_was_said_at_the_end_is_kept_to_the_letter(store: Store) -> None:
    long = replace(session("0123456789abcdef0123456789abcdef"), client="My App 1.0")
    await store.presence.open_session(long)
    await store.presence.leave(long, REPLACED, at_ms=5_000)

    assert await store.devices.of(ALICE) == [
        DeviceRecord(
            "phone",
            Connect(1_000, "0123456789ab", "n1", "My App 1.0"),
            Close(5_000, "0123456789ab", "n1", 4409, "service", "replaced by another connection"),
        )
    ]


async def test_one_device_that_comes_and_goes_takes_little_room(real_store: Store, redis_server: RedisServer) -> None:
    phone = session("0123456789abcdef0123456789abcdef", "dev-0123456789ab", node="n-0123456789ab")
    await real_store.presence.open_session(phone)
    await real_store.presence.leave(phone, LINE_LOST, at_ms=1_772_368_200_000)

    assert redis_server.ask("OBJECT", "ENCODING", KEY) == "listpack"


async def test_the_next_connect_keeps_the_close_of_the_one_before(store: Store) -> None:
    await store.presence.open_session(session("s1"))
    await store.presence.leave(session("s1"), LINE_LOST, at_ms=5_000)

    await store.presence.open_session(session("s2", at=6_000, node="n2"))

    (device,) = await store.devices.of(ALICE)
    assert device.opened == Connect(6_000, "s2", "n2", "web/1")
    assert device.closed is not None
    assert device.closed.session == "s1"


async def test_a_connect_that_is_written_late_does_not_take_the_place_of_a_newer_one(store: Store) -> None:
    """A node that was paused enters its session again, after the device opened elsewhere."""
    await store.presence.open_session(session("s2", at=9_000))
    await store.presence.enter_again([session("s1", at=4_000)])

    (device,) = await store.devices.of(ALICE)
    assert device.opened == Connect(9_000, "s2", "n1", "web/1")


async def test_a_connect_from_a_clock_that_was_hours_ahead_is_not_believed_for_good(store: Store) -> None:
    await store.presence.open_session(session("s1", at=90_000_000))
    await store.presence.open_session(session("s2", at=4_000))

    (device,) = await store.devices.of(ALICE)
    assert device.opened == Connect(4_000, "s2", "n1", "web/1")


async def test_the_one_that_moved_last_comes_first(store: Store) -> None:
    await store.presence.open_session(session("s1", "phone", at=1_000))
    await store.presence.open_session(session("s2", "tab", at=2_000))
    await store.presence.leave(session("s1", "phone"), REPLACED, at_ms=3_000)

    assert [each.device for each in await store.devices.of(ALICE)] == ["phone", "tab"]


async def test_of_too_many_those_that_moved_longest_ago_are_forgotten(store: Store, client: Redis) -> None:
    for number in range(DEVICES_MAX + 2):
        await store.presence.open_session(session(f"s{number}", f"tab{number}", at=1_000 + number))
    await store.presence.leave(session("s3", "tab3"), LINE_LOST, at_ms=9_000)
    await store.presence.open_session(session("new", "new", at=9_500))

    found = [each.device for each in await store.devices.of(ALICE)]
    assert found == ["new", "tab3", *(f"tab{n}" for n in range(DEVICES_MAX + 1, 4, -1)), "tab4"]
    assert await client.hlen(KEY) == DEVICES_MAX + 1  # one of them has a close, too


async def test_they_are_forgotten_after_a_month(store: Store, client: Redis) -> None:
    await store.presence.open_session(session("s1"))
    assert 30 * 86_400 - 5 < await client.ttl(KEY) <= 30 * 86_400


async def test_a_close_brings_back_nothing_of_a_user_who_was_deleted(store: Store, client: Redis) -> None:
    await store.presence.open_session(session("s1"))
    await client.delete(KEY)

    await store.presence.leave(session("s1"), LINE_LOST, at_ms=5_000)

    assert await client.exists(KEY) == 0
