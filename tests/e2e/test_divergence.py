"""Logs that are not what the devices hold: a lost tail, another log under the same name, a trimmed past."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from pushpull.client import Changed, Message, Reset, connect
from pushpull.model import ts_of
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.servers import RedisServer

META, LOG = "{c:room}:meta", "{c:room}:log"
HOUR_AGO_MS = 1_700_000_000_000  # long before now is all that matters: within seconds nothing is sure to be common


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    client: Any = Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
async def room(service: LocalService, redis: Any) -> str:
    """Six messages of long ago and four of now."""
    await service.room("room", "alice", "bob", "carol")
    for seq in range(1, 7):
        fields = {"from": "alice", "cmid": str(seq), "kind": "message", "body": str(seq)}
        last = await redis.xadd(LOG, fields, id=f"{seq}-{HOUR_AGO_MS * 1024 + seq}")
    await redis.hset(META, mapping={"seq": 6, "last": last, "count": 6})
    await service.post_many("room", range(7, 11), sender="alice")
    return "room"


async def lose_tail(redis: Any) -> str:
    """As a replica that never got the last four: messages, counters, cursors. Returns the last id that is left."""
    entries = await redis.xrange(LOG, "-", "6")
    kept = entries[-1][0]
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.delete(LOG)
        for log_id, fields in entries:
            pipeline.xadd(LOG, fields, id=log_id)
        pipeline.hset(META, mapping={"seq": 6, "last": kept, "count": 6})
        for table in ("delivered", "read"):
            pipeline.zadd(f"{{c:room}}:{table}", {"alice": 6, "bob": 6, "carol": 6})
        await pipeline.execute()
    return str(kept)


async def test_connected_devices_hear_reset_before_anything_of_the_new_log(
    service: LocalService, room: str, redis: Any
) -> None:
    epoch = (await service.row("bob", "room"))["epoch"]
    bob, carol = await service.device("bob"), await service.device("carol")
    for wire in (bob, carol):
        assert [item["body"] for item in await wire.collect("room", 10, after=0)] == list(range(1, 11))
    kept = await lose_tail(redis)

    await service.post("room", "seven again", "new 7", sender="alice")

    for wire in (bob, carol):
        reset = await wire.hear("reset", cid="room")
        assert (reset["reason"], reset["pos"], reset["epoch"] > epoch) == ("diverged", kept, True)
        assert reset["head"] in (6, 7)  # 6: a look at the log that was due anyway found it before the new message did
        assert [item["body"] for item in await wire.collect("room", 7, after=6)] == ["new 7"]
    assert (await service.row("bob", "room"))["epoch"] == reset["epoch"]


async def test_devices_of_every_node_hear_it_and_the_epoch_moves_once(
    serve: Serve, service: LocalService, room: str, redis: Any
) -> None:
    other = await serve()
    bob, carol = await service.device("bob"), await other.device("carol")
    for wire in (bob, carol):
        await wire.collect("room", 10, after=0)
    kept = await lose_tail(redis)

    await other.post("room", "seven again", "new 7", sender="alice")

    resets = [await wire.hear("reset", cid="room") for wire in (bob, carol)]
    for wire, reset in zip((bob, carol), resets, strict=True):
        assert (reset["reason"], reset["pos"]) == ("diverged", kept)
        assert [item["body"] for item in await wire.collect("room", 7, after=6)] == ["new 7"]
    assert {reset["epoch"] for reset in resets} == {(await service.row("bob", "room"))["epoch"]}


async def test_devices_that_stand_below_what_was_lost_are_told_to_stay_there(
    service: LocalService, room: str, redis: Any
) -> None:
    standing = (await redis.xrange(LOG, "3", "3"))[0][0]
    await service.server.put("/v1/conversations/room", json={"settings": {"mode": "notify"}})
    bob = await service.device("bob", positions={"room": standing})
    await lose_tail(redis)

    await service.post("room", "seven again", "new 7", sender="alice")

    await bob.hear("notice", head=7)
    assert [item["body"] for item in await bob.pull("room", after=3)] == [4, 5, 6, "new 7"]
    (reset,) = bob.heard_so_far("reset")
    assert (reset["reason"], reset["pos"]) == ("diverged", standing)


async def test_a_device_that_comes_back_with_a_position_in_the_lost_tail_is_reset(
    service: LocalService, room: str, redis: Any
) -> None:
    position = (await redis.xrange(LOG, "9", "9"))[0][0]
    kept = await lose_tail(redis)
    for number in range(7, 12):
        await service.post("room", f"other {number}", f"new {number}", sender="alice")

    bob = await service.device("bob", positions={"room": position})

    assert bob.rows["room"]["start"] == kept
    reset = await bob.hear("reset")
    assert (reset["reason"], reset["pos"], reset["head"]) == ("diverged", kept, 11)
    assert [item["body"] for item in await bob.collect("room", 11, after=6)] == [f"new {n}" for n in range(7, 12)]


async def test_a_position_past_the_head_is_reset_even_if_nothing_was_sent_since(
    service: LocalService, room: str, redis: Any
) -> None:
    position = (await redis.xrange(LOG, "10", "10"))[0][0]
    kept = await lose_tail(redis)

    bob = await service.device("bob", positions={"room": position})

    assert (await bob.hear("reset"))["pos"] == kept


async def test_an_ack_of_the_lost_tail_does_not_count_for_its_successor(
    service: LocalService, room: str, redis: Any
) -> None:
    bob = await service.device("bob")
    await bob.collect("room", 10, ack=False)
    await lose_tail(redis)
    await bob.say("ack", acks={"room": 10})
    for number in range(7, 12):
        await service.post("room", f"other {number}", f"new {number}", sender="alice")

    await bob.hear("reset")

    assert (await service.row("bob", "room"))["delivered"] <= 6


async def test_another_log_under_the_same_name_is_another_epoch(service: LocalService, redis: Any) -> None:
    await service.room("room", "bob")
    await service.post_many("room", range(1, 6))
    bob = await service.device("bob")
    await bob.collect("room", 5)
    await redis.delete(LOG)
    fresh = {"epoch": "9999999999999", "seq": 0, "last": "0-0", "count": 0, "floor": 1}
    await redis.hset(META, mapping=fresh)

    await service.post("room", "first", "of another log")

    reset = await bob.hear("reset")
    assert (reset["reason"], reset["pos"], reset["epoch"]) == ("epoch", "0-0", "9999999999999")
    assert [item["body"] for item in await bob.collect("room", 1)] == ["of another log"]


async def test_deleted_and_made_again_is_nothing_like_before(service: LocalService) -> None:
    await service.room("room", "bob")
    await service.post_many("room", range(1, 6))
    bob = await service.device("bob")
    await bob.collect("room", 5)
    position = (await service.server.get("/v1/conversations/room/messages?after=0")).json()["upto_id"]
    await service.server.delete("/v1/conversations/room")
    await asyncio.sleep(0.002)  # an epoch is a ms
    await service.room("room", "bob")
    await service.post("room", "first", "of another log")

    assert (await bob.hear("conversation"))["change"] == "deleted"
    joined = await bob.hear("conversation")
    assert (joined["change"], joined["row"]["joined"]) == ("joined", 0)
    assert [item["body"] for item in await bob.collect("room", 1)] == ["of another log"]
    away = await service.device("bob", "laptop", positions={"room": position})
    assert (await away.hear("conversation", cid="room"))["change"] == "deleted"
    assert away.rows["room"]["start"] == "0-0"
    assert [item["body"] for item in await away.collect("room", 1)] == ["of another log"]
    assert away.heard_so_far("reset") == []
    assert away.rows["room"]["epoch"] == joined["row"]["epoch"]


async def test_a_client_that_was_away_meanwhile_is_told_and_begins_the_new_one(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    await service.post_many("room", range(1, 6))
    async with connect(service.url, token=token_of("bob"), device="phone") as chat:
        async for message in chat.messages():
            if message.seq == 5:
                break
    await service.server.delete("/v1/conversations/room")
    await service.room("room", "alice", "bob")
    await service.post("room", "first", "of another log")

    heard = []
    async with connect(service.url, token=token_of("bob"), device="phone", positions=chat.positions) as again:
        async for event in again.events():
            if isinstance(event, Changed | Message | Reset):
                heard.append(event)
            if isinstance(event, Message):
                break

    changed, message = heard
    assert changed == Changed("room", "deleted")
    assert isinstance(message, Message)
    assert (message.seq, message.body) == (1, "of another log")


async def test_a_send_that_was_first_tried_before_it_was_deleted_is_refused(service: LocalService) -> None:
    await service.room("room", "bob")
    old = await service.post("room", "first")
    await service.server.delete("/v1/conversations/room")
    await service.room("room", "bob")
    bob = await service.device("bob")

    await bob.say("send", cid="room", cmid="late", body=1, first_at=ts_of(old))

    refused = await bob.hear("error", cmid="late")
    assert (refused["code"], refused["temporary"]) == ("no_such_conversation", False)


async def test_who_was_away_too_long_is_told_that_something_is_gone(serve: Serve) -> None:
    service = await serve(retention={"max_messages": 5})
    await service.room("room", "bob")
    await service.post_many("room", range(1, 4))
    position = (await service.server.get("/v1/conversations/room/messages?after=0&limit=2")).json()["upto_id"]
    await service.post_many("room", range(4, 21))

    bob = await service.device("bob", positions={"room": position})

    reset = await bob.hear("reset")
    assert (reset["reason"], reset["pos"].split("-")[0], reset["floor"], reset["head"]) == ("trimmed", "15", 16, 20)
    assert [item["body"] for item in await bob.collect("room", 20, after=15)] == list(range(16, 21))


async def test_a_connected_device_that_falls_behind_the_floor_is_told(serve: Serve) -> None:
    service = await serve(retention={"max_messages": 10}, delivery={"max_ack_pending": 5})
    await service.room("room", "bob")
    bob = await service.device("bob")
    await service.post_many("room", range(1, 6))
    await bob.collect("room", 5, ack=False)
    await service.post_many("room", range(6, 41))
    await service.heard("room", 40)  # an ack that came before the bells would make room for some of these

    await bob.say("ack", acks={"room": 5})

    reset = await bob.hear("reset")
    assert (reset["reason"], reset["pos"].split("-")[0], reset["floor"]) == ("trimmed", "30", 31)
    assert [item["body"] for item in await bob.collect("room", 40, after=30)] == list(range(31, 41))


async def test_a_redis_restored_from_an_older_copy_leaves_every_device_with_the_log_as_it_is(
    start_redis: Callable[..., RedisServer], serve: Serve
) -> None:
    redis = start_redis(appendonly=True, appendfsync="always")
    service = await serve(url=redis.url)
    await service.room("room", "alice", "bob")
    await service.post_many("room", range(1, 6))
    shutil.copytree(redis.directory / "appendonlydir", copy := redis.directory.with_suffix(".copy"))
    await service.post_many("room", range(6, 11))
    held: dict[int, object] = {}
    resets = []
    async with connect(service.url, token=token_of("bob"), device="d") as chat:
        events = chat.events()

        async def listen_until(body: object) -> None:
            async with asyncio.timeout(20):
                async for event in events:
                    if isinstance(event, Reset):
                        resets.append(event)
                        for seq in [seq for seq in held if seq > int(event.pos.split("-")[0])]:
                            del held[seq]
                    elif isinstance(event, Message):
                        assert event.seq == max(held, default=0) + 1
                        held[event.seq] = event.body
                        if event.body == body:
                            return

        await listen_until(10)
        redis.stop()
        shutil.rmtree(redis.directory / "appendonlydir")
        shutil.move(copy, redis.directory / "appendonlydir")
        redis.start()
        for number in range(6, 13):
            answer = await service.server.post(
                "/v1/conversations/room/messages", json={"cmid": f"n{number}", "body": f"new {number}"}
            )
            assert answer.status_code == 201, answer.text
        await listen_until("new 12")

    assert [reset.reason for reset in resets] == ["diverged"]
    assert list(held.values()) == [1, 2, 3, 4, 5, *(f"new {number}" for number in range(6, 13))]
