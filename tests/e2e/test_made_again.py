"""What was said into a conversation that is deleted, and made again under its name, does not go into the new one."""

from __future__ import annotations

import asyncio

import pytest

from pushpull.client import Changed, Message, connect
from pushpull.errors import NoSuchConversation
from pushpull.model import LogId, ts_of
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, token_of
from tests.faults.proxy import Proxy

ROOM = "/v1/conversations/room"


async def make_again(service: LocalService) -> None:
    assert (await service.server.delete(ROOM)).status_code == 204
    await service.room("room", "alice", "bob")


async def test_nothing_that_a_client_sent_into_the_old_one_goes_into_the_new_one(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    line = Proxy(("127.0.0.1", int(service.url.rpartition(":")[2])))
    await line.start()
    told: list[object] = []
    try:
        async with asyncio.timeout(20), connect(f"http://127.0.0.1:{line.port}", token=token_of("bob")) as chat:
            for number in range(3):
                await chat.send("room", number)
            async for event in chat.events():
                if isinstance(event, Message) and event.seq == 3:
                    break
            line.refusing = True
            line.cut()
            while chat.connected:
                await asyncio.sleep(0.01)
            waits = asyncio.create_task(chat.send("room", "written for the old one"))
            await make_again(service)
            await service.post("room", "new", sender="alice")
            line.refusing = False
            async for event in chat.events():
                told.append(event)
                if isinstance(event, Message) and event.cmid == "new":
                    break
            with pytest.raises(NoSuchConversation, match="room was deleted"):
                await waits
            await chat.send("room", "after")
    finally:
        await line.stop()

    assert [event.change for event in told if isinstance(event, Changed)] == ["deleted"]
    items = (await service.server.get(f"{ROOM}/messages?after=0")).json()["items"]
    assert [(item["from"], item["body"]) for item in items] == [("alice", items[0]["body"]), ("bob", "after")]


async def test_what_was_first_tried_in_the_old_one_is_refused(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    before_ms = ts_of(LogId(await service.post("room", "c1", sender="bob")))
    await make_again(service)
    bob = await service.device("bob")

    await bob.say("send", cid="room", cmid="c1", body="c1", first_at=before_ms)

    refused = await bob.hear("error", cmid="c1")
    assert (refused["code"], refused["temporary"]) == ("no_such_conversation", False)
    assert "was deleted after cmid c1 was first tried" in refused["message"]


async def test_a_connected_device_is_told_though_every_word_of_it_was_lost(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = await serve(delivery={"audit_interval_s": 1})
    await service.room("room", "alice", "bob")
    await service.post_many("room", range(5))
    bob = await service.device("bob")
    await bob.collect("room", 5)
    with monkeypatch.context() as deaf:
        deaf.setattr(service.node._live, "rung", lambda rings: None)
        await make_again(service)
        await service.post_many("room", range(6))

    await bob.hear("conversation", cid="room", change="deleted")
    joined = await bob.hear("conversation", cid="room", change="joined")
    assert (joined["row"]["start"], joined["row"]["head"]) == ("0-0", 6)
    assert len(await bob.collect("room", 6)) == 6
    assert not bob.heard_so_far("reset")
