from __future__ import annotations

from typing import Any

import httpx2
import pytest

from tests.web.conftest import assert_problem
from tests.web.fakes import FakeNode

ROOM = "/v1/conversations/room"


async def test_a_put_makes_a_conversation_and_a_second_one_changes_it(server: httpx2.AsyncClient) -> None:
    made = await server.put(ROOM, json={"members": ["alice"], "settings": {"mode": "notify"}})
    changed = await server.put(ROOM, json={"settings": {"data": {"title": "Room"}}})
    assert (made.status_code, changed.status_code) == (201, 200)
    assert made.json()["members"] == 1
    assert changed.json()["settings"]["mode"] == "notify"
    assert changed.json()["settings"]["data"] == {"title": "Room"}


async def test_a_bare_put_makes_a_conversation_with_every_default(server: httpx2.AsyncClient) -> None:
    made = await server.put(ROOM)
    assert made.status_code == 201
    assert made.json()["mode"] == "push"
    assert made.json()["why"]


async def test_null_puts_a_setting_back(server: httpx2.AsyncClient) -> None:
    await server.put(ROOM, json={"settings": {"mode": "notify", "retain_days": 7}})
    changed = await server.put(ROOM, json={"settings": {"mode": None, "retain_days": None}})
    assert changed.json()["settings"]["mode"] == "auto"
    assert changed.json()["settings"]["retain_days"] is None


async def test_members_of_a_conversation_that_exists_are_refused(server: httpx2.AsyncClient, room: str) -> None:
    assert_problem(await server.put(room, json={"members": ["carol"]}), 422, "invalid")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mode": "loud"}, ("'loud'", "auto, push, notify")),
        ({"history": "some"}, ("'some'", "all, joined")),
        ({"offline": ""}, ("''", "mentions")),
        ({"push_window_ms": -1}, ("push_window_ms -1", "10000")),
        ({"push_window_ms": 10_001}, ("push_window_ms 10001",)),
        ({"retain_messages": 0}, ("retain_messages 0", "1")),
        ({"retain_messages": 10**30}, ("retain_messages", "1")),
        ({"retain_days": -1}, ("retain_days -1",)),
        ({"sends_per_s": 0}, ("sends_per_s 0",)),
        ({"sends_per_s": -2.5}, ("-2.5",)),
        ({"data": 2**70}, ("64 bits",)),
    ],
)
async def test_a_setting_out_of_range_is_named(
    server: httpx2.AsyncClient, node: FakeNode, changes: dict[str, Any], named: tuple[str, ...]
) -> None:
    assert_problem(await server.put(ROOM, json={"settings": changes}), 422, "invalid", *named)
    assert not node.store.held


async def test_data_is_bounded_when_encoded(server: httpx2.AsyncClient) -> None:
    assert (await server.put(ROOM, json={"settings": {"data": "x" * 4_094}})).status_code == 201
    assert_problem(await server.put(ROOM, json={"settings": {"data": "x" * 4_095}}), 413, "too_large", "4097", "4096")


async def test_a_setting_nobody_knows_is_refused_by_name(server: httpx2.AsyncClient) -> None:
    assert_problem(await server.put(ROOM, json={"settings": {"modes": "push"}}), 400, "bad_request", "`modes`")


async def test_other_unknown_fields_are_ignored(server: httpx2.AsyncClient) -> None:
    assert (await server.put(ROOM, json={"colour": "red"})).status_code == 201


@pytest.mark.parametrize("cid", ["a b", "x" * 129, "caf%C3%A9", "a%00b"])
async def test_a_path_that_holds_no_cid_is_refused(server: httpx2.AsyncClient, cid: str) -> None:
    assert_problem(await server.put(f"/v1/conversations/{cid}"), 422, "invalid", "cid", "1 to 128 characters")


async def test_a_cid_named_like_a_javascript_property_is_a_name_like_any_other(server: httpx2.AsyncClient) -> None:
    assert (await server.put("/v1/conversations/__proto__")).status_code == 201
    assert (await server.get("/v1/conversations/__proto__")).json()["cid"] == "__proto__"


async def test_a_member_sees_the_conversation_and_others_do_not(
    server: httpx2.AsyncClient, alice: httpx2.AsyncClient, node: FakeNode
) -> None:
    await server.put(ROOM, json={"members": [{"user": "bob", "role": "moderator"}]})
    assert_problem(await alice.get(ROOM), 403, "not_a_member", "alice")
    await server.post(f"{ROOM}/members", json={"add": ["alice"]})
    seen = (await alice.get(ROOM)).json()
    assert (seen["head"], seen["floor"], seen["members"], seen["mode"]) == (0, 1, 2, "push")


async def test_an_unknown_conversation_is_404_for_users_and_servers(
    server: httpx2.AsyncClient, alice: httpx2.AsyncClient
) -> None:
    for caller in (server, alice):
        assert_problem(await caller.get(ROOM), 404, "no_such_conversation", "room")


async def test_a_deleted_conversation_is_gone(server: httpx2.AsyncClient, room: str) -> None:
    deleted = await server.delete(room)
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert_problem(await server.get(room), 404, "no_such_conversation")


async def test_users_neither_make_nor_delete_conversations(alice: httpx2.AsyncClient, room: str) -> None:
    assert_problem(await alice.put(ROOM), 403, "not_allowed", "x-api-key")
    assert_problem(await alice.delete(room), 403, "not_allowed")


async def test_data_that_nests_too_deep_to_stand_in_a_frame_is_refused(server: httpx2.AsyncClient) -> None:
    deep: Any = 1
    for _ in range(201):
        deep = [deep]
    assert_problem(await server.put(ROOM, json={"settings": {"data": deep}}), 422, "invalid", "200")
