"""The conversation list over a real socket: where a device begins, what it hears of joining and leaving."""

from __future__ import annotations

import pytest

from pushpull.store import ear
from tests.e2e.service import LocalService
from tests.e2e.wire import Wire
from tests.servers import RedisServer


async def bodies(wire: Wire, upto: int, after: int = 0) -> list[int]:
    return [item["body"] for item in await wire.collect("room", upto, after=after)]


@pytest.fixture
async def room(service: LocalService) -> str:
    """Ten messages, of which bob's account has acked four on another device."""
    await service.room("room", "alice", "bob")
    await service.post_many("room", range(1, 11), sender="alice")
    await service.server.put("/v1/conversations/room/cursors/bob", json={"delivered": 4})
    return "room"


async def test_a_device_resumes_at_the_position_it_names(service: LocalService, room: str) -> None:
    page = (await service.server.get("/v1/conversations/room/messages?after=0&limit=7")).json()

    bob = await service.device("bob", positions={"room": page["upto_id"]})

    assert bob.rows["room"]["start"] == page["upto_id"]
    assert await bodies(bob, 10, after=7) == [8, 9, 10]


async def test_a_position_ahead_of_the_delivered_cursor_moves_it(service: LocalService, room: str) -> None:
    page = (await service.server.get("/v1/conversations/room/messages?after=0&limit=7")).json()

    phone = await service.device("bob", device="phone")
    laptop = await service.device("bob", device="laptop", positions={"room": page["upto_id"]})

    assert laptop.rows["room"]["delivered"] == 7
    assert (await phone.hear("cursors"))["delivered"] == 7


async def test_a_device_that_names_nothing_begins_at_the_delivered_cursor(service: LocalService, room: str) -> None:
    bob = await service.device("bob")

    assert await bodies(bob, 10, after=4) == [5, 6, 7, 8, 9, 10]


async def test_unnamed_all_begins_at_the_beginning(service: LocalService, room: str) -> None:
    bob = await service.device("bob", unnamed="all")

    assert bob.rows["room"]["start"] == "0-0"
    assert await bodies(bob, 10) == list(range(1, 11))


async def test_unnamed_head_begins_at_the_head(service: LocalService, room: str) -> None:
    bob = await service.device("bob", unnamed="head")
    await bob.hears_nothing("messages", within=0.1)

    await service.post("room", "live", 11)

    assert await bodies(bob, 11, after=10) == [11]


async def test_further_behind_than_max_backlog_begins_at_the_head(service: LocalService, room: str) -> None:
    bob = await service.device("bob", max_backlog=5)
    assert bob.rows["room"]["start"].startswith("10-")

    again = await service.device("bob", "laptop", max_backlog=6)
    assert await bodies(again, 10, after=4) == [5, 6, 7, 8, 9, 10]


async def test_history_joined_shows_nothing_from_before(service: LocalService) -> None:
    await service.room("room", "alice", history="joined")
    await service.post_many("room", range(1, 6))
    await service.join("room", "bob")
    await service.post("room", "after", 6)

    bob = await service.device("bob", unnamed="all")

    assert bob.rows["room"]["joined"] == 5
    assert await bodies(bob, 6, after=5) == [6]
    await bob.say("pull", cid="room", after=0)
    page = await bob.hear("messages", after=0)
    assert [item["seq"] for item in page["items"]] == [6]
    await bob.say("pull", cid="room", limit=500)
    assert [item["seq"] for item in (await bob.hear("history"))["items"]] == [6]
    over_http = (await service.user("bob").get("/v1/conversations/room/messages?after=0")).json()
    assert [item["seq"] for item in over_http["items"]] == [6]


async def test_a_long_list_comes_in_pages_each_live_from_its_page_on(service: LocalService) -> None:
    cids = [f"c{number:03}" for number in range(230)]
    for cid in cids:
        await service.room(cid, "bob")
    await service.post("c150", "waiting")

    bob = await service.device("bob")
    assert sorted(bob.rows) == cids[:100]
    await bob.hears_nothing("messages", within=0.1)
    await bob.say("sync", after="c099", rid=2)
    second = await bob.hear("sync")
    assert ([row["cid"] for row in second["conversations"]], second["rid"]) == (cids[100:200], 2)
    assert [item["cmid"] for item in await bob.collect("c150", 1)] == ["waiting"]
    await bob.say("sync", after=second["next"])
    last = await bob.hear("sync")
    assert ([row["cid"] for row in last["conversations"]], last["next"]) == (cids[200:], None)

    await service.post("c229", "live")
    assert [item["cmid"] for item in await bob.collect("c229", 1)] == ["live"]


async def test_who_joins_while_connected_gets_the_row_and_what_follows(service: LocalService) -> None:
    await service.room("room", "alice")
    await service.post("room", "before")
    alice, bob = await service.device("alice"), await service.device("bob")
    assert bob.rows == {}

    await service.join("room", "bob")

    joined = await bob.hear("conversation", cid="room")
    assert (joined["change"], joined["row"]["head"], joined["row"]["joined"]) == ("joined", 1, 1)
    await service.post("room", "after")
    assert [item["cmid"] for item in await bob.collect("room", 2, after=1)] == ["after"]
    await alice.hears_nothing("conversation", within=0.1)


async def test_who_is_removed_is_told_and_gets_nothing_more(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")

    await service.remove("room", "bob")

    assert (await bob.hear("conversation", cid="room"))["change"] == "left"
    await service.post("room", "c1")
    await alice.collect("room", 1)
    await bob.hears_nothing("messages", within=0.2)
    for frame in ({"type": "pull", "after": 0}, {"type": "read", "seq": 1}, {"type": "send", "cmid": "x", "body": 1}):
        await bob.say(str(frame.pop("type")), cid="room", **frame)
        await bob.error("not_a_member", cid="room")
    assert (await service.user("bob").get("/v1/conversations/room/messages")).status_code == 403


async def test_who_is_removed_while_the_node_hears_nothing_gets_nothing_that_was_stored_since(
    service: LocalService, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ear, "BACKOFF_S", 1.0)
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice"), await service.device("bob")
    redis_server.ask("CLIENT", "KILL", "TYPE", "pubsub")

    await service.remove("room", "bob")
    await service.post("room", "c1")

    await alice.collect("room", 1)
    assert (await bob.hear("conversation", cid="room"))["change"] == "left"
    assert bob.heard_so_far("messages") == []


async def test_a_position_in_a_conversation_one_has_left_is_answered(service: LocalService) -> None:
    await service.room("room", "alice")

    bob = await service.device("bob", positions={"room": "3-99", "nowhere": "1-1"})

    assert {(await bob.hear("conversation", change="left"))["cid"] for _ in range(2)} == {"room", "nowhere"}


async def test_a_deleted_conversation_is_gone_for_everyone(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    bob = await service.device("bob")

    assert (await service.server.delete("/v1/conversations/room")).status_code == 204

    assert (await bob.hear("conversation", cid="room"))["change"] == "deleted"
    await bob.say("send", cid="room", cmid="c", body=1)
    await bob.error("no_such_conversation", cid="room", cmid="c")
    assert (await service.device("bob", "laptop")).rows == {}


async def test_changed_settings_are_told(service: LocalService) -> None:
    await service.room("room", "bob")
    bob = await service.device("bob")

    await service.server.put("/v1/conversations/room", json={"settings": {"data": {"title": "New"}}})

    assert (await bob.hear("conversation", cid="room"))["change"] == "updated"
    await service.server.put("/v1/conversations/room", json={"settings": {"mode": "notify"}})
    await bob.hear("conversation", cid="room", change="updated")
    assert (await service.row("bob", "room"))["mode"] == "notify"
