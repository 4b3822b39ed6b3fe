from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import pytest

from tests.web.conftest import assert_problem, token_of
from tests.web.fakes import FakeNode


@pytest.fixture
async def talk(room: str, server: httpx2.AsyncClient) -> str:
    """The room with three messages in it."""
    for number in range(3):
        await server.post(f"{room}/messages", json={"cmid": str(number), "body": number})
    return room


async def test_me_and_ones_own_name_are_the_same_cursors(alice: httpx2.AsyncClient, talk: str) -> None:
    moved = await alice.put(f"{talk}/cursors/me", json={"read": 1})
    assert moved.json() == {"cid": "room", "user": "alice", "delivered": 0, "read": 1, "unread": 2, "count": 3}
    assert (await alice.put(f"{talk}/cursors/alice", json={"read": 2})).json()["read"] == 2


async def test_a_cursor_past_the_head_stands_at_it(alice: httpx2.AsyncClient, talk: str) -> None:
    moved = (await alice.put(f"{talk}/cursors/me", json={"delivered": 99, "read": 99})).json()
    assert (moved["delivered"], moved["read"], moved["unread"]) == (3, 3, 0)


async def test_a_user_does_not_move_the_cursors_of_another_and_a_server_does(
    alice: httpx2.AsyncClient, server: httpx2.AsyncClient, talk: str
) -> None:
    assert_problem(await alice.put(f"{talk}/cursors/bob", json={"read": 1}), 403, "not_allowed", "'bob'")
    assert (await server.put(f"{talk}/cursors/bob", json={"read": 1})).json()["user"] == "bob"


async def test_a_server_has_no_me(server: httpx2.AsyncClient, talk: str) -> None:
    assert_problem(await server.put(f"{talk}/cursors/me", json={"read": 1}), 403, "not_a_member", "'me'")


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({"read": -1}, 422, "invalid", "read -1"),
        ({"delivered": 2**53}, 422, "invalid", "delivered"),
        ({"read": True}, 400, "bad_request", "$.read"),
        ({"read": "1"}, 400, "bad_request", "$.read"),
        ({"read": 1.5}, 400, "bad_request", "$.read"),
        ({}, 400, "bad_request", "'delivered'"),
    ],
)
async def test_a_cursor_that_is_no_seq_is_refused(
    alice: httpx2.AsyncClient, talk: str, body: Any, status: int, code: str, named: str
) -> None:
    assert_problem(await alice.put(f"{talk}/cursors/me", json=body), status, code, named)


async def test_receipts_name_who_read_while_the_conversation_is_small(
    alice: httpx2.AsyncClient, bob: httpx2.AsyncClient, talk: str
) -> None:
    await bob.put(f"{talk}/cursors/me", json={"read": 2})
    seen = (await alice.get(f"{talk}/receipts/2")).json()
    assert (seen["read"], seen["read_by"]) == (1, ["bob"])


async def test_receipts_of_a_large_conversation_only_count(
    alice: httpx2.AsyncClient, node: FakeNode, talk: str
) -> None:
    delivery = msgspec.structs.replace(node.settings.delivery, push_max_members=1)
    node.settings = msgspec.structs.replace(node.settings, delivery=delivery)
    seen = (await alice.get(f"{talk}/receipts/2")).json()
    assert seen == {"cid": "room", "seq": 2, "delivered": 0, "read": 0}


async def test_receipts_of_a_message_that_is_not_there_yet_are_refused(alice: httpx2.AsyncClient, talk: str) -> None:
    assert_problem(await alice.get(f"{talk}/receipts/4"), 404, "no_such_message", "seq 4", "head 3")
    assert_problem(await alice.get(f"{talk}/receipts/0"), 422, "invalid", "seq")


async def test_strangers_get_no_receipts(client_of: Any, talk: str) -> None:
    stranger = client_of(Authorization=f"Bearer {token_of('mallory')}")
    assert_problem(await stranger.get(f"{talk}/receipts/1"), 403, "not_a_member")


async def test_pending_has_two_forms(server: httpx2.AsyncClient, node: FakeNode, talk: str) -> None:
    summary = await server.get(f"{talk}/pending?user=bob")
    assert summary.json() == {"count": 0, "min": None, "max": None, "consumers": []}
    assert node.asked_pending == {"user": "bob", "min_idle_ms": 0, "limit": None}
    rows = await server.get(f"{talk}/pending?min_idle_ms=5000&limit=10")
    assert rows.json() == {"rows": []}
    assert node.asked_pending == {"user": None, "min_idle_ms": 5_000, "limit": 10}


@pytest.mark.parametrize("query", ["user=a%20b", "min_idle_ms=-1", "limit=0", "limit=1001"])
async def test_pending_refuses_what_it_cannot_ask(server: httpx2.AsyncClient, talk: str, query: str) -> None:
    assert_problem(await server.get(f"{talk}/pending?{query}"), 422, "invalid")


async def test_pending_is_for_servers(alice: httpx2.AsyncClient, talk: str) -> None:
    assert_problem(await alice.get(f"{talk}/pending"), 403, "not_allowed")
