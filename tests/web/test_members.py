from __future__ import annotations

from typing import Any

import httpx2
import pytest

from pushpull.model import Cid
from tests.web.conftest import assert_problem, token_of
from tests.web.fakes import FakeNode


async def test_one_call_removes_and_adds(server: httpx2.AsyncClient, room: str) -> None:
    body = {"add": ["carol", {"user": "alice", "role": "moderator"}], "remove": ["bob", "nobody"]}
    changed = await server.post(f"{room}/members", json=body)
    assert changed.json() == {"added": 1, "updated": 1, "removed": 1, "members": 2}


async def test_ten_thousand_members_fit_in_one_call_and_one_more_does_not(
    server: httpx2.AsyncClient, room: str
) -> None:
    names = [f"{number:0>128}" for number in range(10_000)]
    filled = await server.post(f"{room}/members", json={"add": names})
    assert filled.json()["members"] == 10_002
    refused = await server.post(f"{room}/members", json={"add": [*names, "one-more"]})
    assert_problem(refused, 422, "invalid", "10001", "10000")


async def test_a_user_named_twice_counts_once_and_the_last_role_holds(
    server: httpx2.AsyncClient, node: FakeNode, room: str
) -> None:
    body = {"add": ["carol", {"user": "carol", "role": "reader"}]}
    assert (await server.post(f"{room}/members", json=body)).json()["added"] == 1
    assert node.store.held[Cid("room")].members["carol"] == "reader"  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({"add": ["a b"]}, 422, "invalid", "'a b'"),
        ({"add": ["carol"], "remove": [""]}, 422, "invalid", "uid ''"),
        ({"add": [{"user": "carol", "role": "king"}]}, 422, "invalid", "'king'"),
        ({"add": [5]}, 400, "bad_request", "$.add"),
        ({"add": "carol"}, 400, "bad_request", "$.add"),
        ({}, 400, "bad_request", "'add'"),
        ([], 400, "bad_request", "object"),
    ],
)
async def test_a_bad_list_changes_nothing(
    server: httpx2.AsyncClient, node: FakeNode, room: str, body: Any, status: int, code: str, named: str
) -> None:
    assert_problem(await server.post(f"{room}/members", json=body), status, code, named)
    assert set(node.store.held[Cid("room")].members) == {"alice", "bob"}


async def test_members_are_listed_in_pages(server: httpx2.AsyncClient, alice: httpx2.AsyncClient, room: str) -> None:
    await server.post(f"{room}/members", json={"add": ["carol"]})
    first = (await alice.get(f"{room}/members?limit=2")).json()
    rest = (await alice.get(f"{room}/members?limit=2&after={first['next']}")).json()
    assert [row["user"] for row in first["members"]] == ["alice", "bob"]
    assert [row["user"] for row in rest["members"]] == ["carol"]
    assert rest["next"] is None


@pytest.mark.parametrize("limit", ["0", "-5", "1001", "ten", "", "1e2", "٣", "9" * 40])
async def test_a_limit_out_of_range_is_named(alice: httpx2.AsyncClient, room: str, limit: str) -> None:
    answer = await alice.get(f"{room}/members", params={"limit": limit})
    assert_problem(answer, 422, "invalid", "limit", "from 1 to 1000")


async def test_a_parameter_given_twice_is_refused(alice: httpx2.AsyncClient, room: str) -> None:
    assert_problem(await alice.get(f"{room}/members?limit=1&limit=2"), 422, "invalid", "limit", "2 times")


async def test_members_alone_see_who_is_one(client_of: Any, room: str) -> None:
    stranger = client_of(Authorization=f"Bearer {token_of('mallory')}")
    assert_problem(await stranger.get(f"{room}/members"), 403, "not_a_member")
    assert_problem(await stranger.post(f"{room}/members", json={"add": ["mallory"]}), 403, "not_allowed")
