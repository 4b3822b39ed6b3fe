from __future__ import annotations

import time
from typing import Any

import httpx2
import pytest

from pushpull.model import Cid, Uid
from tests.web.conftest import assert_problem, token_of
from tests.web.fakes import FakeNode


async def test_a_user_lists_its_conversations_in_pages(server: httpx2.AsyncClient, alice: httpx2.AsyncClient) -> None:
    for cid in ("a", "b", "c"):
        await server.put(f"/v1/conversations/{cid}", json={"members": ["alice"]})
    first = (await alice.get("/v1/users/me/conversations?limit=2")).json()
    rest = (await server.get(f"/v1/users/alice/conversations?after={first['next']}")).json()
    assert [row["cid"] for row in first["conversations"]] == ["a", "b"]
    assert [row["cid"] for row in rest["conversations"]] == ["c"]
    assert rest["next"] is None


async def test_a_hint_that_leads_nowhere_is_left_out_and_forgotten(
    alice: httpx2.AsyncClient, node: FakeNode, room: str
) -> None:
    node.store.hints[Uid("alice")].append(Cid("gone"))
    listed = (await alice.get("/v1/users/alice/conversations")).json()
    assert [row["cid"] for row in listed["conversations"]] == ["room"]
    assert node.store.hints[Uid("alice")] == ["room"]


async def test_a_user_sees_its_own_list_alone(alice: httpx2.AsyncClient) -> None:
    assert_problem(await alice.get("/v1/users/bob/conversations"), 403, "not_allowed", "'bob'")


@pytest.mark.parametrize("query", ["limit=501", "limit=-1", "after=a%20b"])
async def test_a_page_of_conversations_that_cannot_be_is_refused(alice: httpx2.AsyncClient, query: str) -> None:
    assert_problem(await alice.get(f"/v1/users/me/conversations?{query}"), 422, "invalid")


async def test_a_server_sees_and_ends_sessions(server: httpx2.AsyncClient, node: FakeNode) -> None:
    listed = (await server.get("/v1/users/alice/sessions")).json()
    assert listed["sessions"][0]["id"] == "s1"
    assert listed["sessions"][0]["connected_at"] == 1_700_000_000_000
    assert (await server.delete("/v1/users/alice/sessions/s1")).status_code == 204
    assert (await server.delete("/v1/users/alice/sessions")).status_code == 204
    assert node.store.kicked == [("alice", "s1"), ("alice", None)]


async def test_users_do_not_see_or_end_sessions(alice: httpx2.AsyncClient) -> None:
    assert_problem(await alice.get("/v1/users/alice/sessions"), 403, "not_allowed")
    assert_problem(await alice.delete("/v1/users/alice/sessions"), 403, "not_allowed")


async def test_a_revoked_token_is_refused_and_one_issued_later_passes(
    server: httpx2.AsyncClient, client_of: Any, room: str
) -> None:
    now = int(time.time())
    before, after = (client_of(Authorization=f"Bearer {token_of('alice', iat=iat)}") for iat in (now - 60, now))
    revoked = await server.put("/v1/users/alice/revoked_before", json={"ts": now - 30})
    assert revoked.json() == {"user": "alice", "revoked_before": now - 30}
    refused = await before.get(room)
    assert_problem(refused, 401, "unauthenticated")
    assert refused.json()["reason"] == "token_revoked"
    assert (await after.get(room)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"), [({"ts": 1_700_000_000_000}, 422), ({"ts": -1}, 422), ({"ts": "now"}, 400), ({}, 400)]
)
async def test_a_revocation_is_in_seconds(server: httpx2.AsyncClient, body: Any, status: int) -> None:
    refused = await server.put("/v1/users/alice/revoked_before", json=body)
    assert_problem(refused, status, "invalid" if status == 422 else "bad_request", "ts")
