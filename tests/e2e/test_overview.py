"""How the nodes do, and which conversations are busiest, asked at any node."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.e2e.service import LocalService

Serve = Callable[..., Awaitable[LocalService]]


async def test_every_node_is_told_of_at_any_node(serve: Serve) -> None:
    one, other = await serve(), await serve()
    await one.room("team", "ann", "bob")
    ann, bob = await one.device("ann"), await other.device("bob")
    await one.post("team", "m1")
    for wire in (ann, bob):
        await wire.hear("messages")
    for service in (one, other):
        await service.node.reporter.say()

    answer = (await other.server.get("/v1/stats")).json()

    by_node = {row["node"]: row["figures"] for row in answer["nodes"]}
    assert by_node.keys() == {one.node.id, other.node.id}
    assert [by_node[service.node.id]["since_start"]["deliveries"] for service in (one, other)] == [1, 1]
    assert by_node[one.node.id]["append"]["count"] == 1
    assert (answer["total"]["sessions"], answer["total"]["since_start"]["appends"]) == (2, 1)


async def test_a_busy_conversation_is_listed_with_its_mode_and_devices_of_all_nodes(serve: Serve) -> None:
    one, other = await serve(), await serve()
    await one.room("team", "ann", "bob")
    await one.room("tea", "ann", "bob")
    await one.device("ann")
    await other.device("bob")
    await one.post_many("team", range(30))
    await one.post("tea", "m1")
    for service in (one, other):
        await service.heard("team", 30)
        await service.heard("tea", 1)
        await service.node.parts.hub.ways.look(0.0, over_s=1.0)
        await service.node.reporter.say()

    first, second = (await one.server.get("/v1/conversations")).json()["conversations"]

    assert (first["cid"], second["cid"]) == ("team", "tea")
    assert (first["mode"], first["setting"], first["pushed"], first["nodes"]) == ("push", "auto", 2, 2)
    assert first["rate"] > second["rate"] > 0


async def test_a_node_reports_by_itself(serve: Serve) -> None:
    service = await serve()
    await service.device("ann")

    async with asyncio.timeout(8):
        while (await service.server.get("/v1/stats")).json()["total"]["sessions"] != 1:
            await asyncio.sleep(0.05)
