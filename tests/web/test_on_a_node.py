"""The calls on a real node and a real server: what they ask of both, these must understand."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import msgspec
import pytest

from pushpull.model import Cid, SessionId, Uid
from pushpull.node.node import Node
from pushpull.settings import Settings
from pushpull.store.store import Store
from pushpull.store.values import SessionRecord
from pushpull.web.answers import HistoryPage, PendingAnswer
from tests.web.conftest import assert_problem


@pytest.fixture
async def node(settings: Settings, redis_url: str) -> AsyncIterator[Node]:
    store = await Store.open(settings, url=redis_url)
    node = Node(settings, store)
    await node.start()
    yield node
    await node.stop()
    await store.aclose()


async def test_a_conversation_lives_and_dies(server: httpx2.AsyncClient, alice: httpx2.AsyncClient, room: str) -> None:
    changed = await server.put(room, json={"settings": {"mode": "notify", "retain_days": 7, "data": {"t": [1]}}})
    assert changed.status_code == 200
    seen = (await alice.get(room)).json()
    assert (seen["members"], seen["mode"], seen["settings"]["data"]) == (2, "notify", {"t": [1]})
    back = (await server.put(room, json={"settings": {"mode": None, "data": None}})).json()
    assert (back["settings"]["mode"], back["settings"]["data"], back["settings"]["retain_days"]) == ("auto", None, 7)
    assert_problem(await server.put(room, json={"members": ["carol"]}), 422, "invalid", "exists")
    assert (await server.delete(room)).status_code == 204
    assert_problem(await alice.get(room), 404, "no_such_conversation")


async def test_members_come_and_go(server: httpx2.AsyncClient, bob: httpx2.AsyncClient, room: str) -> None:
    body = {"add": ["carol", {"user": "bob", "role": "reader"}], "remove": ["alice"]}
    changed = (await server.post(f"{room}/members", json=body)).json()
    assert changed == {"added": 1, "updated": 1, "removed": 1, "members": 2}
    first = (await bob.get(f"{room}/members?limit=1")).json()
    rest = (await bob.get(f"{room}/members?after={first['next']}")).json()
    roles = {row["user"]: row["role"] for row in first["members"] + rest["members"]}
    assert roles == {"bob": "reader", "carol": "member"}
    assert_problem(await bob.get(f"{room}/members?after=alice"), 422, "invalid", "alice")


async def test_messages_are_stored_once_and_redacted_by_who_may(
    server: httpx2.AsyncClient, alice: httpx2.AsyncClient, bob: httpx2.AsyncClient, room: str
) -> None:
    message = {"cmid": "c1", "body": "hi"}
    first, again = [await alice.post(f"{room}/messages", json=message) for _ in range(2)]
    assert (first.status_code, again.status_code, again.json()["dup"]) == (201, 200, True)
    other = await alice.post(f"{room}/messages", json={"cmid": "c1", "body": "ho"})
    assert_problem(other, 409, "cmid_conflict")
    assert_problem(await bob.delete(f"{room}/messages/1"), 403, "not_allowed")
    assert (await alice.delete(f"{room}/messages/1")).status_code == 200
    assert_problem(await server.delete(f"{room}/messages/9"), 404, "no_such_message", "9")


async def test_receipts_count_and_name(server: httpx2.AsyncClient, alice: httpx2.AsyncClient, room: str) -> None:
    await alice.post(f"{room}/messages", json={"cmid": "c1", "body": "hi"})
    seen = (await server.get(f"{room}/receipts/1")).json()
    assert (seen["read"], seen["read_by"]) == (1, ["alice"])
    assert_problem(await server.get(f"{room}/receipts/2"), 404, "no_such_message")


async def test_a_user_lists_its_conversations_in_pages(server: httpx2.AsyncClient, alice: httpx2.AsyncClient) -> None:
    for cid in ("a", "b", "c"):
        await server.put(f"/v1/conversations/{cid}", json={"members": ["alice"]})
    first = (await alice.get("/v1/users/me/conversations?limit=2")).json()
    rest = (await alice.get(f"/v1/users/me/conversations?limit=2&after={first['next']}")).json()
    assert [row["cid"] for row in first["conversations"] + rest["conversations"]] == ["a", "b", "c"]
    assert rest["next"] is None


async def test_sessions_are_seen_kicked_and_revoked(server: httpx2.AsyncClient, node: Node) -> None:
    await node.store.presence.open_session(
        SessionRecord(id=SessionId("s1"), uid=Uid("alice"), device="d", node=node.id, client="", connected_at_ms=5)
    )
    (session,) = (await server.get("/v1/users/alice/sessions")).json()["sessions"]
    assert (session["id"], session["device"], session["connected_at"]) == ("s1", "d", 5)
    assert (await server.delete("/v1/users/alice/sessions/s1")).status_code == 204
    assert (await server.delete("/v1/users/alice/sessions")).status_code == 204
    assert (await server.put("/v1/users/alice/revoked_before", json={"ts": 5.9})).status_code == 200
    assert await node.store.presence.revoked_before(Uid("alice")) == 5


async def test_ten_thousand_members_are_added_in_one_call(server: httpx2.AsyncClient, node: Node, room: str) -> None:
    added = await server.post(f"{room}/members", json={"add": [f"user-{number}" for number in range(10_000)]})
    assert added.json()["added"] == 10_000
    assert (await node.store.conversations.head(Cid("room"))).members == 10_002


async def test_pages_cursors_and_pending_agree(
    server: httpx2.AsyncClient, alice: httpx2.AsyncClient, bob: httpx2.AsyncClient, room: str
) -> None:
    batch = [{"cid": "room", "cmid": str(n), "body": n, "from": "alice"} for n in range(1, 6)]
    assert [one["dup"] for one in (await server.post("/v1/messages", json=batch)).json()] == [False] * 5
    forward = await bob.get(f"{room}/messages?after=1&limit=2")
    assert [item["body"] for item in forward.json()["items"]] == [2, 3]
    held = {"If-None-Match": forward.headers["etag"]}
    assert (await bob.get(f"{room}/messages?after=1&limit=2", headers=held)).status_code == 304
    newest = msgspec.json.decode((await bob.get(f"{room}/messages?limit=2")).content, type=HistoryPage)
    assert ([item.seq for item in newest.items], newest.more) == ([4, 5], True)
    moved = (await bob.put(f"{room}/cursors/me", json={"delivered": 3, "read": 99})).json()
    assert (moved["delivered"], moved["read"], moved["unread"]) == (3, 5, 0)
    summary = msgspec.json.decode((await server.get(f"{room}/pending")).content, type=PendingAnswer)
    assert (summary.min, summary.max, summary.rows) == (1, 5, msgspec.UNSET)
    assert (await server.get(f"{room}/pending?limit=5")).json()["rows"]


async def test_an_edit_or_a_redaction_changes_the_etag(alice: httpx2.AsyncClient, room: str) -> None:
    await alice.post(f"{room}/messages", json={"cmid": "a", "body": "hi"})
    tags = [(await alice.get(f"{room}/messages?after=0&limit=1")).headers["etag"]]
    await alice.post(f"{room}/messages", json={"cmid": "b", "body": "ho", "kind": "edit", "ref": 1})
    edited = await alice.get(f"{room}/messages?after=0&limit=1")
    assert (edited.json()["items"][0]["body"], edited.json()["items"][0]["edited"]["seq"]) == ("ho", 2)
    tags.append(edited.headers["etag"])
    await alice.delete(f"{room}/messages/1")
    tags.append((await alice.get(f"{room}/messages?after=0&limit=1")).headers["etag"])
    assert len(set(tags)) == 3


async def test_the_cursors_of_nobody_are_told_apart(server: httpx2.AsyncClient, room: str) -> None:
    assert_problem(await server.put(f"{room}/cursors/carol", json={"read": 1}), 403, "not_a_member", "carol")
    nowhere = await server.put("/v1/conversations/nowhere/cursors/carol", json={"read": 1})
    assert_problem(nowhere, 404, "no_such_conversation")


async def test_a_node_lists_itself_is_ready_and_counts(server: httpx2.AsyncClient, node: Node, room: str) -> None:
    await server.post(f"{room}/messages", json={"cmid": "a", "body": 1})
    (listed,) = (await server.get("/v1/nodes")).json()["nodes"]
    assert listed["node"] == node.id
    assert (await server.get("/readyz")).json()["checks"]["redis"] == "ok"
    assert "pushpull_appends" in (await server.get("/metrics")).text
