"""Redis is stopped, hangs, or refuses writes: senders are told, nothing is stored twice, and afterwards all goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from pushpull.node import appender, drain, node
from pushpull.store import servers, sockets
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.servers import RedisServer

MESSAGES = "/v1/conversations/room/messages"


@pytest.fixture
def redis(start_redis: Callable[..., RedisServer], monkeypatch: pytest.MonkeyPatch) -> RedisServer:
    """A server of the test's own, and a service that loses patience soon."""
    monkeypatch.setattr(servers, "RETRY_FOR_S", 0.3)
    monkeypatch.setattr(sockets, "SOCKET_TIMEOUT_S", 0.4)
    return start_redis(appendonly=True, appendfsync="always")


@pytest.fixture
async def away(redis: RedisServer, serve: Serve) -> LocalService:
    service = await serve(url=redis.url)
    await service.room("room", "alice", "bob")
    return service


async def test_a_drain_does_not_wait_for_ever_for_a_redis_that_is_away(
    away: LocalService, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last cursors are not worth it: what they stand for is delivered again."""
    monkeypatch.setattr(drain, "LAST_WRITES_S", 0.2)
    bob = await away.device("bob")
    await away.post("room", "c1")
    frame = await bob.hear("messages")
    redis.stop()
    await bob.say("ack", acks={"room": frame["upto"]})
    await bob.say("ping")
    await bob.hear("pong")

    async with asyncio.timeout(5):
        await away.node.drain()

    assert (await bob.closed())[0] == 1012
    redis.start()


async def ready(service: LocalService, expected: int) -> None:
    async with asyncio.timeout(10):
        while (await service.anybody().get("/readyz")).status_code != expected:
            await asyncio.sleep(0.05)


async def test_a_stopped_redis_is_told_and_the_retry_stores_once(away: LocalService, redis: RedisServer) -> None:
    alice, bob = await away.device("alice"), await away.device("bob")
    await alice.say("send", cid="room", cmid="before", body=0)
    await bob.collect("room", 1)
    redis.stop()

    await alice.say("send", cid="room", cmid="c1", body=1, rid="r")
    refused = await alice.hear("error", cmid="c1", rid="r")
    assert (refused["code"], refused["temporary"]) == ("store_unavailable", True)
    over_http = await away.user("alice").post(MESSAGES, json={"cmid": "c1", "body": 1})
    assert (over_http.status_code, over_http.json()["code"]) == (503, "store_unavailable")
    assert int(over_http.headers["retry-after"]) >= 1
    assert (await away.anybody().get("/healthz")).status_code == 200
    assert (await away.anybody().get("/readyz")).status_code == 503

    redis.start()
    await alice.say("send", cid="room", cmid="c1", body=1)
    first = await alice.hear("sent", cmid="c1")
    second = await away.user("alice").post(MESSAGES, json={"cmid": "c1", "body": 1})
    assert (first["dup"], second.status_code, second.json()["id"]) == (False, 200, first["id"])
    assert [item["cmid"] for item in await bob.collect("room", 2, after=1)] == ["c1"]
    await bob.hear("cursors", delivered=2)
    await ready(away, 200)


async def test_a_hung_redis_may_have_stored_it_and_the_retry_finds_out(away: LocalService, redis: RedisServer) -> None:
    alice, bob = await away.device("alice"), await away.device("bob")
    redis.pause()
    await alice.say("send", cid="room", cmid="c1", body=1)
    refused = await alice.hear("error", cmid="c1")
    assert (refused["code"], refused["temporary"]) == ("store_unavailable", True)

    redis.resume()

    await alice.say("send", cid="room", cmid="c1", body=1)
    await alice.hear("sent", cmid="c1")
    assert [item["cmid"] for item in await bob.collect("room", 1)] == ["c1"]
    assert (await away.row("bob", "room"))["head"] == 1


async def test_a_redis_that_refuses_writes_still_answers_reads(away: LocalService, redis: RedisServer) -> None:
    await away.post("room", "before", sender="alice")
    bob = await away.device("bob")
    await bob.collect("room", 1)
    redis.ask("CONFIG", "SET", "maxmemory", "1")

    answer = await away.user("alice").post(MESSAGES, json={"cmid": "c1", "body": 1})

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    await bob.say("pull", cid="room", after=0)
    assert [item["cmid"] for item in (await bob.hear("messages", after=0))["items"]] == ["before"]
    redis.ask("CONFIG", "SET", "maxmemory", "0")
    again = await away.user("alice").post(MESSAGES, json={"cmid": "c1", "body": 1})
    assert (again.status_code, again.json()["dup"]) == (201, False)


async def test_acks_wait_for_redis_and_are_written_when_it_is_back(away: LocalService, redis: RedisServer) -> None:
    bob = await away.device("bob")
    await away.post_many("room", range(1, 4))
    await bob.collect("room", 3, ack=False)
    redis.stop()
    await bob.say("ack", acks={"room": 3})
    await bob.say("read", cid="room", seq=2)
    await bob.hears_nothing("cursors", within=0.3)

    redis.start()

    moved = await bob.hear("cursors", delivered=3)
    assert (moved["read"], moved["unread"]) == (2, 1)


async def test_a_session_cannot_open_without_redis_and_is_told_to_come_back(
    away: LocalService, redis: RedisServer
) -> None:
    redis.stop()
    wire = await away.wire()
    await wire.say("hello", device="phone", token=token_of("bob"))

    assert await wire.closed() == (1013, "store_unavailable")
    redis.start()
    await away.device("bob")


async def test_what_was_sent_through_another_door_while_the_bell_was_dead_is_caught_up_on(
    away: LocalService, redis: RedisServer
) -> None:
    bob = await away.device("bob")
    redis.restart()
    async with asyncio.timeout(10):
        while (await away.server.post(MESSAGES, json={"cmid": "c1", "body": 1})).status_code == 503:
            pass

    assert [item["cmid"] for item in await bob.collect("room", 1)] == ["c1"]


async def test_while_redis_hangs_sends_are_bounded_in_number_and_time_and_afterwards_all_is_in_order(
    redis: RedisServer, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(appender, "WAIT_S", 1.0)
    monkeypatch.setattr(sockets, "SOCKET_TIMEOUT_S", 20.0)  # the one under way is not what frees the others
    monkeypatch.setattr(node, "LATE_SENDS_S", 0.1)
    service = await serve(url=redis.url, limits={"waiting_sends": 100})
    await service.room("room", "alice")
    alice = await service.device("alice")
    redis.pause()
    try:
        await alice.say("send", cid="room", cmid="under way", body=0)
        while service.node.parts.appender.waiting_share or not service.node.parts.appender._lanes:
            await asyncio.sleep(0.005)
        for n in range(100):
            await alice.say("send", cid="room", cmid=str(n), body=n)
        await alice.say("send", cid="room", cmid="one too many", body=0)
        at_once = await alice.hear("error")
        over_http = await service.server.post(MESSAGES, json={"cmid": "http", "body": 0})
        late = [await alice.hear("error", cmid=str(n), within=3.0) for n in range(100)]
    finally:
        redis.resume()

    assert at_once["cmid"] == "one too many"  # the others have to wait for theirs
    assert at_once["code"] == over_http.json()["code"] == "store_unavailable"
    assert {one["code"] for one in late} == {"store_unavailable"}
    await alice.hear("sent", cmid="under way")
    await asyncio.sleep(at_once["retry_after_ms"] / 1000)
    for n in range(100):
        await alice.say("send", cid="room", cmid=str(n), body=n)
    for n in range(100):
        await alice.hear("sent", cmid=str(n))
    page = (await service.server.get(f"{MESSAGES}?after=1&limit=200")).json()
    assert [item["body"] for item in page["items"]] == list(range(100))
