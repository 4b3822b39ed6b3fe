"""Receipts: devices that ask hear how far the others are, on every node; nobody else hears or pays anything."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pushpull.delivery.shedding import Extra
from pushpull.store.passing import ReceiptBell
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService, serving, settings_of
from tests.e2e.wire import Frame, Wire
from tests.servers import RedisCluster

ASKS = {"features": ["receipts", "of-a-later-release"]}


async def receipt(wire: Wire, user: str, **at: int) -> Frame:
    """Wait for the receipt that says this of `user`."""
    return await wire.hear("receipt", user=user, **at)


async def know_each_other(*services: LocalService) -> None:
    """Let each say in a beat what it has, and the others hear it."""
    for service in (*services, *services):
        await service.node._heartbeat.beat()


async def test_who_asked_hears_that_another_has_it_and_has_read_it(service: LocalService) -> None:
    await service.room("room", "alice", "bob", "carol")
    alice, bob = await service.device("alice", **ASKS), await service.device("bob", **ASKS)
    carol = await service.device("carol")
    await service.post_many("room", range(3), sender="alice")

    await bob.collect("room", 3)
    assert await receipt(alice, "bob", delivered=3) == {
        "type": "receipt",
        "cid": "room",
        "user": "bob",
        "delivered": 3,
        "read": 0,
    }
    await bob.say("read", cid="room", seq=2)
    assert (await receipt(alice, "bob", read=2))["delivered"] == 3

    assert not bob.heard_so_far("receipt")
    assert not carol.heard_so_far("receipt")


async def test_welcome_says_which_features_it_gives(service: LocalService) -> None:
    asks, does_not = await service.wire(), await service.wire()
    token = {"token": service.user("alice").headers["authorization"].split()[1]}

    assert (await asks.greet(device="a", **token, **ASKS))["features"] == ["receipts"]
    assert (await does_not.greet(device="b", **token))["features"] == []


async def test_a_cursor_that_the_backend_moves_is_told(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice = await service.device("alice", **ASKS)
    await service.post_many("room", range(3), sender="alice")

    await service.server.put("/v1/conversations/room/cursors/bob", json={"delivered": 2, "read": 1})

    await receipt(alice, "bob", delivered=2, read=1)


async def test_cursors_of_the_others_are_on_the_list_of_members(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    await service.post_many("room", range(3), sender="alice")
    await service.server.put("/v1/conversations/room/cursors/bob", json={"delivered": 2, "read": 1})

    rows = (await service.user("alice").get("/v1/conversations/room/members")).json()["members"]

    assert [(row["user"], row["delivered"], row["read"]) for row in rows] == [("alice", 0, 0), ("bob", 2, 1)]


async def test_what_was_read_while_the_node_was_too_busy_is_told_afterwards(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    alice, bob = await service.device("alice", **ASKS), await service.device("bob")
    await service.post_many("room", range(2), sender="alice")
    await bob.collect("room", 2)
    relief = service.node.parts.hub.relief
    relief.level = Extra.RECEIPT.level
    await bob.say("read", cid="room", seq=2)
    await bob.hear("cursors", cid="room", read=2)
    assert not any(said["read"] for said in alice.heard_so_far("receipt"))

    relief.level = 0
    await receipt(alice, "bob", delivered=2, read=2)


async def test_members_on_another_node_hear_it_too(serve: Serve) -> None:
    one, other = await serve(), await serve()
    await one.room("room", "alice", "bob")
    alice, bob = await one.device("alice", **ASKS), await other.device("bob")
    await know_each_other(one, other)
    await one.post_many("room", range(3), sender="alice")

    await bob.collect("room", 3)

    await receipt(alice, "bob", delivered=3)
    # And by a call to a node on which nobody of the conversation is.
    third = await serve()
    await know_each_other(one, third)
    await third.server.put("/v1/conversations/room/cursors/bob", json={"read": 3})
    await receipt(alice, "bob", read=3)


async def test_acks_that_were_lost_with_a_connection_are_told_when_it_comes_back(serve: Serve) -> None:
    one, other = await serve(), await serve()
    await one.room("room", "alice", "bob")
    alice = await one.device("alice", **ASKS)
    last = [await one.post("room", str(number), sender="alice") for number in range(3)][-1]
    await know_each_other(one, other)

    await other.device("bob", positions={"room": last})

    await receipt(alice, "bob", delivered=3)


async def test_where_nobody_asked_acks_ring_nothing(service: LocalService, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await rung_for_ten_acks(service, monkeypatch) == 0


async def test_where_somebody_asked_many_acks_ring_together(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert 1 <= await rung_for_ten_acks(service, monkeypatch, **ASKS) <= 4


async def rung_for_ten_acks(service: LocalService, monkeypatch: pytest.MonkeyPatch, **hello: Any) -> int:
    """Bells of a conversation in which ten devices ack, once each, at about the same time."""
    users = [f"u{number}" for number in range(10)]
    await service.room("room", *users)
    wires = [await service.device(uid, **hello) for uid in users]
    await service.post_many("room", range(3))
    for wire in wires:
        await wire.hear("messages", cid="room", upto=3)
    live, heard = service.node._live, []
    rung = live.rung
    monkeypatch.setattr(live, "rung", lambda rings: rung(heard.extend(rings) or rings))

    for wire in wires:
        await wire.say("ack", acks={"room": 3})
    for wire in wires:
        await wire.hear("cursors", cid="room", delivered=3)
    await asyncio.sleep(0.05)
    return sum(isinstance(ring, ReceiptBell) for ring in heard)


async def test_who_was_removed_hears_of_nobody_though_every_word_of_it_was_lost(
    service: LocalService, monkeypatch: pytest.MonkeyPatch
) -> None:
    await service.room("room", "alice", "bob", "carol")
    alice, carol = await service.device("alice", **ASKS), await service.device("carol", **ASKS)
    await service.post_many("room", range(3))
    for wire in (alice, carol):
        await wire.hear("messages", cid="room", upto=3)
    live = service.node._live
    rung = live.rung
    # Only receipts are heard from here on.
    monkeypatch.setattr(live, "rung", lambda rings: rung([r for r in rings if isinstance(r, ReceiptBell)]))
    await service.remove("room", "carol")

    await service.server.put("/v1/conversations/room/cursors/bob", json={"read": 2})

    await receipt(alice, "bob", read=2)
    await carol.hear("conversation", change="left")
    await carol.hears_nothing("receipt", within=0.05)


@pytest.fixture(scope="module")
def cluster() -> Any:
    cluster = RedisCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


async def test_on_a_cluster_signals_and_receipts_cross_from_node_to_node(cluster: RedisCluster) -> None:
    async with serving(settings_of(), cluster.url) as one, serving(settings_of(), cluster.url) as other:
        cids = ["tea", "hall", "room"]  # on three shards
        for cid in cids:
            await one.room(cid, "alice", "bob")
        alice, bob = await one.device("alice", **ASKS), await other.device("bob")
        await know_each_other(one, other)
        for cid in cids:
            await one.post(cid, "first", sender="alice")
            await bob.say("signal", cid=cid, body=cid)
            await bob.collect(cid, 1)

        for cid in cids:
            assert (await alice.hear("signal", cid=cid))["body"] == cid
            await alice.hear("receipt", cid=cid, user="bob", delivered=1)
            answer = await one.user("alice").get(f"/v1/conversations/{cid}/presence")
            assert answer.json()["connected"] == ["alice", "bob"]
