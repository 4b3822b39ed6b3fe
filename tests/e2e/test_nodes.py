"""Two nodes on one Redis: what happens at one is known at the other, also what was said while it could not hear."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.servers import RedisServer

Two = tuple[LocalService, LocalService]


@pytest.fixture
async def two(serve: Serve) -> Two:
    return await serve(), await serve()


async def until(true: Any, within: float = 5.0) -> None:
    async with asyncio.timeout(within):
        while not true():
            await asyncio.sleep(0.01)


def cut_off(redis: RedisServer) -> None:
    """Cut every subscription, so that what is said in this moment is heard by nobody."""
    redis.ask("CLIENT", "KILL", "TYPE", "pubsub")


async def test_a_message_goes_to_the_devices_of_both(two: Two) -> None:
    one, other = two
    await one.room("room", "alice", "bob")
    alice, bob = await one.device("alice"), await other.device("bob")

    await alice.say("send", cid="room", cmid="c1", body="Hello")

    assert [item["body"] for item in await bob.collect("room", 1)] == ["Hello"]


async def test_joining_and_leaving_is_heard_on_both(two: Two) -> None:
    one, other = two
    await one.room("room", "alice")
    here, there = await one.device("bob", "phone"), await other.device("bob", "tab")

    await one.join("room", "bob")
    assert [(await wire.hear("conversation"))["change"] for wire in (here, there)] == ["joined", "joined"]

    await other.remove("room", "bob")
    assert [(await wire.hear("conversation"))["change"] for wire in (here, there)] == ["left", "left"]


async def test_settings_and_deletion_are_heard_on_both(two: Two) -> None:
    one, other = two
    await one.room("room", "alice", "bob")
    alice, bob = await one.device("alice"), await other.device("bob")

    await one.server.put("/v1/conversations/room", json={"settings": {"data": {"title": "Tea"}}})
    assert [(await wire.hear("conversation"))["change"] for wire in (alice, bob)] == ["updated", "updated"]

    await other.server.delete("/v1/conversations/room")
    assert [(await wire.hear("conversation"))["change"] for wire in (alice, bob)] == ["deleted", "deleted"]


async def test_the_same_device_on_another_node_replaces_the_first(two: Two) -> None:
    one, other = two
    first = await one.device("bob", "phone")
    second = await other.device("bob", "phone")

    assert await first.closed() == (4409, "replaced by another connection")
    listed = (await one.server.get("/v1/users/bob/sessions")).json()["sessions"]
    assert [session["node"] for session in listed] == [other.node.id]
    await second.say("ping")
    await second.hear("pong")


async def test_the_oldest_goes_wherever_it_is_when_a_user_has_too_many(serve: Serve) -> None:
    one, other = [await serve(limits={"sessions_per_user": 2}) for _ in range(2)]
    oldest = await one.device("bob", "a")
    await other.device("bob", "b")
    await other.device("bob", "c")

    assert (await oldest.closed())[0] == 4409


async def test_a_kick_reaches_the_other_node(two: Two) -> None:
    one, other = two
    bob = await other.device("bob")

    await one.server.delete("/v1/users/bob/sessions")

    assert await bob.closed() == (4403, "the session was ended by the service")


async def test_what_is_said_while_a_node_cannot_hear_is_found_out(two: Two, redis_server: RedisServer) -> None:
    one, other = two
    await one.room("room", "alice", "bob")
    kicked, left = await other.device("carol"), await other.device("bob", "tab")
    joined = await other.device("dave")

    # In one go, so that nobody has subscribed again before it is said.
    cut_off(redis_server)
    await one.server.delete("/v1/users/carol/sessions")
    await one.remove("room", "bob")
    await one.join("room", "dave")

    assert (await kicked.closed())[0] == 4403
    assert (await left.hear("conversation"))["change"] == "left"
    assert (await joined.hear("conversation"))["change"] == "joined"


async def test_cursors_are_told_on_both(two: Two) -> None:
    one, other = two
    await one.room("room", "alice", "bob")
    await one.post_many("room", range(5), sender="alice")
    phone, tab = await one.device("bob", "phone"), await other.device("bob", "tab")

    await phone.say("read", cid="room", seq=3)
    assert (await tab.hear("cursors"))["read"] == 3

    await tab.say("read", cid="room", seq=4)
    while (await phone.hear("cursors"))["read"] != 4:
        pass

    await one.server.put("/v1/conversations/room/cursors/bob", json={"read": 5})
    while (await tab.hear("cursors"))["read"] != 5:
        pass


async def test_a_call_to_a_third_node_moves_the_cursors_of_all(serve: Serve) -> None:
    one, other, third = [await serve() for _ in range(3)]
    await one.room("room", "bob")
    await one.post_many("room", range(3))
    await third.node._heartbeat.beat()  # it has looked around since the others are here
    phone, tab = await one.device("bob", "phone"), await other.device("bob", "tab")

    await third.server.put("/v1/conversations/room/cursors/bob", json={"read": 2})

    assert [(await wire.hear("cursors"))["read"] for wire in (phone, tab)] == [2, 2]


async def test_a_user_with_one_device_is_announced_nothing_of(two: Two, redis_server: RedisServer) -> None:
    one, _ = two
    await one.room("room", "bob")
    await one.post_many("room", range(3))
    bob = await one.device("bob")
    await bob.collect("room", 3)
    before = spublished(redis_server)
    await bob.say("read", cid="room", seq=3)
    await bob.hear("cursors")

    assert (one.node.parts.abroad.users, spublished(redis_server) - before) == ({}, 0)


def spublished(redis: RedisServer) -> int:
    for line in redis.ask("INFO", "commandstats").splitlines():
        if line.startswith("cmdstat_spublish:calls="):
            return int(line.split("=")[1].split(",")[0])
    return 0


async def test_the_other_node_knows_when_the_user_is_gone(two: Two) -> None:
    one, other = two
    await one.device("bob", "phone")
    tab = await other.device("bob", "tab")
    await until(lambda: one.node.parts.abroad.users and other.node.parts.abroad.users)

    await tab.leave()

    await until(lambda: not one.node.parts.abroad.users and not other.node.parts.abroad.users)


async def test_a_node_taken_for_dead_finds_its_sessions_again(two: Two, redis_server: RedisServer) -> None:
    one, other = two
    alone, moved = await one.device("alice"), await one.device("bob", "phone")
    # As after a pause: it is off the table of nodes, and others came across its rows.
    redis_server.ask("HDEL", "nodes", one.node.id)
    assert (await other.server.get("/v1/users/alice/sessions")).json()["sessions"] == []
    again = await other.device("bob", "phone")
    await moved.say("ping")
    await moved.hear("pong")

    await one.node._heartbeat.beat()

    assert await moved.closed() == (4409, "replaced by another connection")
    for wire in (alone, again):
        await wire.say("ping")
        await wire.hear("pong")
    for uid, node in (("alice", one.node.id), ("bob", other.node.id)):
        listed = (await other.server.get(f"/v1/users/{uid}/sessions")).json()["sessions"]
        assert [session["node"] for session in listed] == [node]


async def test_a_device_that_is_gone_before_its_row_is_there_leaves_none(
    two: Two, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = two
    go_on = asyncio.Event()
    presence = one.node.store.presence
    enter = presence._enter

    async def slow(sessions: Any) -> Any:
        await go_on.wait()
        return await enter(sessions)

    monkeypatch.setattr(presence, "_enter", slow)
    wire = await one.wire()
    await wire.say("hello", token=token_of("bob"), device="phone")
    await until(lambda: len(one.node.parts.peers) == 1)
    await wire.leave()
    await until(lambda: len(one.node.parts.peers) == 0)
    go_on.set()

    async with asyncio.timeout(5):
        while redis_server.ask("HLEN", "{u:bob}:sessions") != "1":  # the order field
            await asyncio.sleep(0.01)
