"""Presence: the members of a small conversation see who of them is connected, on any node."""

from __future__ import annotations

import asyncio
from typing import Any

from pushpull.model import Uid
from tests.e2e.conftest import Serve
from tests.e2e.service import LocalService


async def presence(service: LocalService, uid: str = "alice", cid: str = "room") -> Any:
    answer = await service.user(uid).get(f"/v1/conversations/{cid}/presence")
    return answer.json()


async def test_a_member_sees_who_is_connected_on_any_node_and_no_more(serve: Serve) -> None:
    one, other = await serve(), await serve()
    await one.room("room", "alice", "bob", "carol", "dave")
    await one.device("alice")
    await other.device("bob", "phone")
    await other.device("bob", "tab")
    gone = await other.device("carol")
    await gone.leave()
    async with asyncio.timeout(5):
        while await one.node.store.presence.sessions(Uid("carol")):
            await asyncio.sleep(0.01)
    await one.device("stranger")

    assert await presence(one) == {"cid": "room", "members": 4, "connected": ["alice", "bob"]}


async def test_presence_is_for_members_of_small_conversations(serve: Serve) -> None:
    service = await serve(delivery={"push_max_members": 2})
    await service.room("room", "alice", "bob", "carol", mode="push")

    refused = await presence(service)
    assert (refused["status"], refused["code"]) == (403, "not_allowed")
    assert refused["detail"] == "room has 3 members: presence is told of up to 2"
    assert (await presence(service, "stranger"))["code"] == "not_a_member"


async def test_who_was_removed_sees_nobody_and_is_seen_by_nobody(service: LocalService) -> None:
    await service.room("room", "alice", "bob")
    await service.device("alice")
    await service.device("bob")
    await service.remove("room", "bob")

    assert (await presence(service, "bob"))["code"] == "not_a_member"
    assert await presence(service) == {"cid": "room", "members": 1, "connected": ["alice"]}
