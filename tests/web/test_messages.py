from __future__ import annotations

from typing import Any

import httpx2
import pytest

from pushpull.model import Cid
from tests.web.conftest import assert_problem
from tests.web.fakes import FakeNode


def bodies(node: FakeNode) -> list[bytes]:
    return [entry.body for entry in node.store.held[Cid("room")].log]


async def test_a_send_is_201_and_the_same_again_200_with_the_same_id(alice: httpx2.AsyncClient, room: str) -> None:
    message = {"cmid": "c1", "body": {"text": "hi"}}
    first, again = [await alice.post(f"{room}/messages", json=message) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == {"cid": "room", "cmid": "c1", "id": first.json()["id"], "dup": False}
    assert again.json() == {**first.json(), "dup": True}


async def test_another_body_under_a_stored_cmid_is_a_conflict(alice: httpx2.AsyncClient, room: str) -> None:
    await alice.post(f"{room}/messages", json={"cmid": "c1", "body": "hi"})
    assert_problem(await alice.post(f"{room}/messages", json={"cmid": "c1", "body": "ho"}), 409, "cmid_conflict", "c1")


async def test_a_body_is_kept_byte_for_byte(alice: httpx2.AsyncClient, node: FakeNode, room: str) -> None:
    body = b'{"b" : 1.50, "a":"\\u00e9\\/", "a":12345678901234567890}'
    sent = await alice.post(f"{room}/messages", content=b'{"cmid":"c1","body":' + body + b"}")
    assert sent.status_code == 201
    assert bodies(node) == [body]


async def test_the_content_type_does_not_matter(alice: httpx2.AsyncClient, room: str) -> None:
    content = b'{"cmid":"c1","body":1}'
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await alice.post(f"{room}/messages", content=content, headers=form)).status_code == 201


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"[]",
        b"{}",
        b'{"cmid":"c1"}',
        b'{"cmid":1,"body":1}',
        b'{"cmid":"c1","body":NaN}',
        b'{"cmid":"c1","body":Infinity}',
        b'{"cmid":"c1","body":"\\ud800"}',
        b'{"cmid":"c1","body":"\xff"}',
        b'{"cmid":"\\ud800","body":1}',
        b'{"cmid":"\xff","body":1}',
        b'{"cmid":"c1","body":1} trailing',
        b'{"cmid":"c1","body":' + b"[" * 20_000,
        b'{"cmid":"c1","body":1,"quiet":"yes"}',
        b'{"cmid":"c1","body":1,"mentions":"bob"}',
        b'{"cmid":"c1","body":1,"ref":1.5}',
        b'{"cmid":"c1","body":1,"from":7}',
    ],
)
async def test_what_is_no_message_is_a_bad_request_and_stores_nothing(
    alice: httpx2.AsyncClient, node: FakeNode, room: str, content: bytes
) -> None:
    assert_problem(await alice.post(f"{room}/messages", content=content), 400, "bad_request")
    assert bodies(node) == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"kind": "redact", "ref": 1}, "redact"),
        ({"kind": "sys.joined"}, "sys.joined"),
        ({"kind": "edit"}, "ref"),
        ({"cmid": ""}, "cmid"),
        ({"cmid": "x" * 65}, "64"),
        ({"mentions": ["a b"]}, "'a b'"),
        ({"mentions": ["bob"] * 101}, "101"),
        ({"ref": -1}, "-1"),
    ],
)
async def test_a_value_out_of_range_is_invalid_and_named(
    alice: httpx2.AsyncClient, node: FakeNode, room: str, fields: dict[str, Any], named: str
) -> None:
    message = {"cmid": "c1", "body": 1, **fields}
    assert_problem(await alice.post(f"{room}/messages", json=message), 422, "invalid", named)
    assert bodies(node) == []


async def test_a_body_over_the_limit_is_too_large(alice: httpx2.AsyncClient, room: str) -> None:
    limit = 64 * 1024
    fits, over = "x" * (limit - 2), "x" * (limit - 1)
    assert (await alice.post(f"{room}/messages", json={"cmid": "a", "body": fits})).status_code == 201
    assert_problem(await alice.post(f"{room}/messages", json={"cmid": "b", "body": over}), 413, "too_large", str(limit))


async def test_a_user_speaks_for_itself_alone(alice: httpx2.AsyncClient, node: FakeNode, room: str) -> None:
    own = await alice.post(f"{room}/messages", json={"cmid": "a", "body": 1, "from": "alice"})
    assert own.status_code == 201
    forged = await alice.post(f"{room}/messages", json={"cmid": "b", "body": 1, "from": "bob"})
    assert_problem(forged, 403, "not_allowed", "'bob'", "'alice'")
    assert [entry.sender for entry in node.store.held[Cid("room")].log] == ["alice"]


async def test_a_server_speaks_for_anyone_and_for_the_service(
    server: httpx2.AsyncClient, node: FakeNode, room: str
) -> None:
    for number, fields in enumerate([{"from": "bob"}, {"kind": "sys.notice"}]):
        sent = await server.post(f"{room}/messages", json={"cmid": f"c{number}", "body": 1, **fields})
        assert sent.status_code == 201
    assert [entry.sender for entry in node.store.held[Cid("room")].log] == ["bob", None]


async def test_a_server_does_not_forge_the_services_own_kinds(server: httpx2.AsyncClient, room: str) -> None:
    for fields in ({"kind": "redact", "ref": 1}, {"kind": "sys.notice", "from": "bob"}):
        refused = await server.post(f"{room}/messages", json={"cmid": "c", "body": 1, **fields})
        assert_problem(refused, 422, "invalid")


async def test_strangers_and_unknown_conversations_are_told_apart(alice: httpx2.AsyncClient, node: FakeNode) -> None:
    message = {"cmid": "c", "body": 1}
    assert_problem(await alice.post("/v1/conversations/room/messages", json=message), 404, "no_such_conversation")
    await node.store.put(Cid("room"), {}, members=None)
    assert_problem(await alice.post("/v1/conversations/room/messages", json=message), 403, "not_a_member")


async def test_while_redis_is_away_a_send_says_when_to_retry(
    alice: httpx2.AsyncClient, node: FakeNode, room: str
) -> None:
    node.store.away = True
    refused = await alice.post(f"{room}/messages", json={"cmid": "c", "body": 1})
    assert_problem(refused, 503, "store_unavailable")
    assert refused.json()["retry_after_ms"] == 1_000
    assert refused.headers["retry-after"] == "1"


async def test_a_batch_answers_each_item_in_order_and_a_bad_one_fails_alone(
    server: httpx2.AsyncClient, node: FakeNode, room: str
) -> None:
    items: list[Any] = [
        {"cid": "room", "cmid": "a", "body": 1, "from": "alice"},
        {"cid": "room", "cmid": "b"},
        {"cid": "nowhere", "cmid": "c", "body": 1},
        "not a message",
        {"cid": "room", "cmid": "x" * 65, "body": 1},
        {"cid": "room", "cmid": "e", "body": 2},
        {"cid": "room", "cmid": "a", "body": 1, "from": "alice"},
    ]
    answer = await server.post("/v1/messages", json=items)
    results = answer.json()
    assert answer.status_code == 200
    failures = [result["error"]["code"] if "error" in result else None for result in results]
    assert failures == [None, "bad_request", "no_such_conversation", "bad_request", "invalid", None, None]
    assert results[2]["cid"] == "nowhere"
    assert results[6] == {**results[0], "dup": True}
    assert bodies(node) == [b"1", b"2"]


async def test_a_batch_is_for_servers_and_bounded(server: httpx2.AsyncClient, alice: httpx2.AsyncClient) -> None:
    assert (await server.post("/v1/messages", json=[])).json() == []
    assert_problem(await server.post("/v1/messages", json=[{}] * 1_001), 422, "invalid", "1001", "1000")
    assert_problem(await server.post("/v1/messages", json={}), 400, "bad_request", "array")
    assert_problem(await alice.post("/v1/messages", json=[]), 403, "not_allowed")


async def test_pages_go_forward_and_backward(server: httpx2.AsyncClient, alice: httpx2.AsyncClient, room: str) -> None:
    for number in range(1, 6):
        await server.post(f"{room}/messages", json={"cmid": str(number), "body": number})
    forward = (await alice.get(f"{room}/messages?after=1&limit=2")).json()
    backward = (await alice.get(f"{room}/messages?before=5&limit=2")).json()
    newest = (await alice.get(f"{room}/messages?limit=2")).json()
    assert (forward["type"], [item["seq"] for item in forward["items"]]) == ("messages", [2, 3])
    assert (backward["type"], [item["seq"] for item in backward["items"]]) == ("history", [3, 4])
    assert [item["seq"] for item in newest["items"]] == [4, 5]


async def test_a_page_held_already_is_not_sent_again(alice: httpx2.AsyncClient, room: str) -> None:
    page = await alice.get(f"{room}/messages?after=0")
    assert page.headers["cache-control"] == "private, no-cache"
    etag = page.headers["etag"]
    for held in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = await alice.get(f"{room}/messages?after=0", headers={"If-None-Match": held})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    await alice.post(f"{room}/messages", json={"cmid": "c", "body": 1})
    assert (await alice.get(f"{room}/messages?after=0", headers={"If-None-Match": etag})).status_code == 200


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("after=-1", "after '-1'"),
        ("after=one", "after 'one'"),
        ("after=1.5", "after '1.5'"),
        ("after=99999999999999999999", "after"),
        ("before=0", "before '0'"),
        ("limit=501", "from 1 to 500"),
        ("limit=0", "from 1 to 500"),
        ("after=1&before=5", "both"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(alice: httpx2.AsyncClient, room: str, query: str, named: str) -> None:
    assert_problem(await alice.get(f"{room}/messages?{query}"), 422, "invalid", named)


async def test_a_stranger_reads_nothing_and_a_server_everything(
    server: httpx2.AsyncClient, alice: httpx2.AsyncClient, room: str
) -> None:
    await server.post(f"{room}/members", json={"remove": ["alice"]})
    assert_problem(await alice.get(f"{room}/messages"), 403, "not_a_member")
    assert (await server.get(f"{room}/messages")).status_code == 200


async def test_a_delete_appends_a_quiet_redact_with_ref(
    alice: httpx2.AsyncClient, server: httpx2.AsyncClient, node: FakeNode, room: str
) -> None:
    await alice.post(f"{room}/messages", json={"cmid": "c", "body": 1})
    redacted = await alice.delete(f"{room}/messages/1")
    assert redacted.status_code == 200
    assert (await alice.delete(f"{room}/messages/1")).json() == {**redacted.json(), "dup": True}
    assert (await server.delete(f"{room}/messages/1")).json()["dup"] is False
    by_alice, by_service = node.store.held[Cid("room")].log[1:]
    assert (by_alice.kind, by_alice.ref, by_alice.quiet, by_alice.sender) == ("redact", 1, True, "alice")
    assert by_service.sender is None


@pytest.mark.parametrize("seq", ["0", "-1", "first", "1.0", "9" * 20])
async def test_only_a_seq_can_be_redacted(alice: httpx2.AsyncClient, room: str, seq: str) -> None:
    assert_problem(await alice.delete(f"{room}/messages/{seq}"), 422, "invalid", "seq")
