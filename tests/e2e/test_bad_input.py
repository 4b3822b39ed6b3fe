"""Everything a client may get wrong, over WebSocket and HTTP: a clear error, and a good message still goes through."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.conftest import Serve
from tests.e2e.service import API_KEY, LocalService, token_of
from tests.e2e.wire import Wire

NOT_FRAMES = [
    ("this is no JSON", "bad_request", "not JSON"),
    ('{"type":"send","cid":"room"', "bad_request", "not JSON"),
    ("[1,2]", "bad_request", "list"),
    ("null", "bad_request", "NoneType"),
    ('{"cid":"room"}', "bad_request", "type"),
    ('{"type":5}', "bad_request", "type"),
    ('{"type":"teleport","cid":"room"}', "unsupported", "teleport"),
    ('{"type":"focus"}', "bad_request", "cid"),
    ('{"type":"signal","cid":"room","body":Infinity}', "bad_request", "NaN"),
    ('{"type":"hello","device":"phone"}', "bad_request", "hello"),
    ('{"type":"send","cid":"room","cmid":"c","body":NaN}', "bad_request", "NaN"),
    ('{"type":"send","cid":"room","cmid":"c","body":-Infinity}', "bad_request", "NaN"),
    ('{"type":"send","cid":"room","cmid":"c","body":"\\ud800"}', "bad_request", "surrogate"),
    ('{"type":"send","cid":"room","cmid":"\\ud800","body":1}', "bad_request", ""),
    ('{"type":"send","cid":"room","cmid":"c","body":' + "[" * 60_000 + "]" * 60_000 + "}", "bad_request", ""),
]

WRONG_SENDS: list[tuple[dict[str, Any], str, str]] = [
    ({"cmid": 5}, "bad_request", "cmid"),
    ({"cmid": ""}, "invalid", "cmid"),
    ({"cmid": "x" * 65}, "invalid", "64"),
    ({"cmid": "new\nline"}, "invalid", "cmid"),
    ({"cid": 5}, "bad_request", "cid"),
    ({"cid": "no blanks"}, "invalid", "no blanks"),
    ({"cid": "x" * 129}, "invalid", "128"),
    ({"cid": "nowhere"}, "no_such_conversation", "nowhere"),
    ({"cid": "elsewhere"}, "not_a_member", "elsewhere"),
    ({"cid": "__proto__"}, "no_such_conversation", "__proto__"),
    ({"cid": "read-only"}, "not_allowed", "read"),
    ({"body": "x" * 65_537}, "too_large", "65539"),
    ({"kind": "redact", "ref": 1}, "invalid", "redact"),
    ({"kind": "sys.joined"}, "invalid", "sys.joined"),
    ({"kind": ""}, "invalid", "kind"),
    ({"kind": "edit"}, "invalid", "ref"),
    ({"kind": "edit", "ref": 0}, "invalid", "0"),
    ({"kind": "edit", "ref": 99}, "no_such_message", "99"),
    ({"kind": "reaction", "ref": -1}, "invalid", "-1"),
    ({"ref": 2**70}, "bad_request", "ref"),
    ({"mentions": "bob"}, "bad_request", "mentions"),
    ({"mentions": ["no blanks"]}, "invalid", "no blanks"),
    ({"mentions": ["bob"] * 101}, "invalid", "101"),
    ({"quiet": "yes"}, "bad_request", "quiet"),
    ({"first_at": -1}, "invalid", "-1"),
    ({"first_at": 1_000}, "cmid_expired", ""),
]

WRONG_REQUESTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("ack", {"acks": {"room": 99}}, "invalid", "99"),
    ("ack", {"acks": {"room": -1}}, "invalid", "-1"),
    ("ack", {"acks": {"room": "1"}}, "bad_request", "acks"),
    ("ack", {"acks": {"nowhere": 1}}, "not_a_member", "nowhere"),
    ("ack", {"acks": {"__proto__": 1}}, "not_a_member", "__proto__"),
    ("ack", {"acks": [1]}, "bad_request", "acks"),
    ("ack", {"acks": {"room": 2**64}}, "bad_request", "acks"),
    ("read", {"cid": "room", "seq": 99}, "invalid", "99"),
    ("read", {"cid": "room", "seq": 0}, "invalid", "0"),
    ("read", {"cid": "room", "seq": -5}, "invalid", "-5"),
    ("read", {"cid": "room", "seq": 1.5}, "bad_request", "seq"),
    ("read", {"cid": "elsewhere", "seq": 1}, "not_a_member", "elsewhere"),
    ("pull", {"cid": "room", "after": 99}, "invalid", "99"),
    ("pull", {"cid": "room", "after": -1}, "invalid", "-1"),
    ("pull", {"cid": "room", "before": 0}, "invalid", "0"),
    ("pull", {"cid": "room", "limit": -1}, "invalid", "-1"),
    ("pull", {"cid": "room", "limit": 0}, "invalid", "0"),
    ("pull", {"cid": "room", "limit": 10**12}, "invalid", "500"),
    ("pull", {"cid": "room", "after": 0, "before": 5}, "invalid", "not both"),
    ("pull", {"cid": "elsewhere", "after": 0}, "not_a_member", "elsewhere"),
    ("sync", {"after": "no blanks"}, "invalid", "no blanks"),
]


@pytest.fixture
async def bob(service: LocalService) -> Wire:
    """A device of bob, who is in `room` and a reader of `read-only`, and not in `elsewhere`."""
    await service.room("room", "alice", "bob")
    await service.room("elsewhere", "alice")
    await service.room("read-only", "alice", {"user": "bob", "role": "reader"})
    await service.post("room", "first", sender="alice")
    wire = await service.device("bob")
    await wire.collect("room", 1)
    return wire


async def still_works(service: LocalService, bob: Wire) -> None:
    """The session lives and nothing was stored but the good message."""
    await bob.say("send", cid="room", cmid="good", body="good")
    assert [item["cmid"] for item in await bob.collect("room", 2, after=1)] == ["good"]


@pytest.mark.parametrize(("text", "code", "named"), NOT_FRAMES, ids=range(len(NOT_FRAMES)))
async def test_what_is_no_frame_is_answered(service: LocalService, bob: Wire, text: str, code: str, named: str) -> None:
    await bob.say_text(text)

    assert named in await bob.error(code)
    await still_works(service, bob)


@pytest.mark.parametrize(("wrong", "code", "named"), WRONG_SENDS, ids=range(len(WRONG_SENDS)))
async def test_a_wrong_send_is_answered_and_stores_nothing(
    service: LocalService, bob: Wire, wrong: dict[str, Any], code: str, named: str
) -> None:
    await bob.say("send", **{"cid": "room", "cmid": "bad", "body": "b", "rid": "r", **wrong})

    message = await bob.error(code, rid="r")

    assert named in message
    assert "xxxxxxxxxx" not in message or "cid" in message or "cmid" in message, "a body is not repeated"
    await still_works(service, bob)


@pytest.mark.parametrize(("kind", "wrong", "code", "named"), WRONG_REQUESTS, ids=range(len(WRONG_REQUESTS)))
async def test_a_wrong_request_is_answered_and_moves_nothing(
    service: LocalService, bob: Wire, kind: str, wrong: dict[str, Any], code: str, named: str
) -> None:
    await bob.hear("cursors", delivered=1)
    before = await service.row("bob", "room")

    await bob.say(kind, **wrong, rid=8)

    assert named in await bob.error(code, rid=8)
    await bob.heard(within=0.05)
    assert await service.row("bob", "room") == before
    await still_works(service, bob)


async def test_a_wrong_ack_does_not_spoil_the_right_ones_beside_it(service: LocalService, bob: Wire) -> None:
    await service.post("room", "second", sender="alice")
    await bob.hear("messages", upto=2)

    await bob.say("ack", acks={"nowhere": 1, "room": 2, "read-only": 7})

    assert {(await bob.hear("error"))["cid"] for _ in range(2)} == {"nowhere", "read-only"}
    await bob.hear("cursors", delivered=2)


async def test_a_conversation_may_be_called_proto(service: LocalService) -> None:
    await service.room("__proto__", "bob", "__proto__")
    bob = await service.device("bob", positions={"__proto__": "0-0"})

    await bob.say("send", cid="__proto__", cmid="__proto__", body={"__proto__": 1}, mentions=["__proto__"])

    assert [item["body"] for item in await bob.collect("__proto__", 1)] == [{"__proto__": 1}]
    assert (await bob.hear("cursors"))["delivered"] == 1


@pytest.mark.parametrize(
    "other",
    [{"body": "another"}, {"kind": "note"}, {"mentions": ["alice"]}, {"ref": 1}],
    ids=["body", "kind", "mentions", "ref"],
)
async def test_a_cmid_with_other_content_is_a_conflict(service: LocalService, bob: Wire, other: dict[str, Any]) -> None:
    message = {"cid": "room", "cmid": "c", "body": "one"}
    await bob.say("send", **message)
    await bob.hear("sent")

    await bob.say("send", **{**message, **other})

    await bob.error("cmid_conflict", cid="room", cmid="c")
    over_http = await service.user("bob").post("/v1/conversations/room/messages", json={**message, **other})
    assert (over_http.status_code, over_http.json()["code"]) == (409, "cmid_conflict")
    assert (await service.row("bob", "room"))["head"] == 2
    await bob.say("send", **message)
    assert (await bob.hear("sent"))["dup"] is True


async def test_one_that_acks_what_it_was_never_sent_does_not_skip_it(serve: Serve) -> None:
    service = await serve(delivery={"max_ack_pending": 10})
    await service.room("room", "bob")
    await service.post_many("room", range(1, 21))
    bob = await service.device("bob")
    await bob.hear("messages", upto=10)

    await bob.say("ack", acks={"room": 20})

    assert "20" in await bob.error("invalid", cid="room")
    await bob.say("ack", acks={"room": 10})
    assert (await bob.hear("messages", after=10))["upto"] == 20


MESSAGES = "/v1/conversations/room/messages"
WRONG_CALLS: list[tuple[str, str, Any, int, str, str]] = [
    ("POST", MESSAGES, b"this is no JSON", 400, "bad_request", ""),
    ("POST", MESSAGES, b"[]", 400, "bad_request", ""),
    ("POST", MESSAGES, b'{"cmid":"c","body":NaN}', 400, "bad_request", ""),
    ("POST", MESSAGES, b'{"cmid":"c","body":"\\ud800"}', 400, "bad_request", ""),
    ("POST", MESSAGES, b"\xff\xfe", 400, "bad_request", ""),
    ("POST", MESSAGES, {"body": 1}, 400, "bad_request", "cmid"),
    ("POST", MESSAGES, {"cmid": 5, "body": 1}, 400, "bad_request", "cmid"),
    ("POST", MESSAGES, {"cmid": "c", "body": "x" * 65_537}, 413, "too_large", "65539"),
    ("POST", MESSAGES, {"cmid": "c", "body": "x" * 1_000_000}, 413, "too_large", ""),
    ("POST", MESSAGES, {"cmid": "c", "body": 1, "kind": "redact", "ref": 1}, 422, "invalid", "redact"),
    ("POST", MESSAGES, {"cmid": "c", "body": 1, "from": "alice"}, 403, "not_allowed", "alice"),
    ("POST", MESSAGES, {"cmid": "c", "body": 1, "first_at": 1_000}, 409, "cmid_expired", ""),
    ("POST", "/v1/conversations/nowhere/messages", {"cmid": "c", "body": 1}, 404, "no_such_conversation", "nowhere"),
    ("POST", "/v1/conversations/elsewhere/messages", {"cmid": "c", "body": 1}, 403, "not_a_member", "elsewhere"),
    ("POST", "/v1/conversations/__proto__/messages", {"cmid": "c", "body": 1}, 404, "no_such_conversation", "__proto"),
    ("POST", "/v1/conversations/no%20blanks/messages", {"cmid": "c", "body": 1}, 422, "invalid", "no blanks"),
    ("GET", MESSAGES + "?after=-1", None, 422, "invalid", "-1"),
    ("GET", MESSAGES + "?after=one", None, 422, "invalid", "one"),
    ("GET", MESSAGES + "?after=99", None, 422, "invalid", "99"),
    ("GET", MESSAGES + "?before=0", None, 422, "invalid", "0"),
    ("GET", MESSAGES + "?limit=-1", None, 422, "invalid", "-1"),
    ("GET", MESSAGES + "?limit=999999999999999999999", None, 422, "invalid", "limit"),
    ("GET", MESSAGES + "?after=1&before=2", None, 422, "invalid", "before 2"),
    ("GET", "/v1/conversations/elsewhere", None, 403, "not_a_member", "elsewhere"),
    ("GET", "/v1/conversations/elsewhere/messages", None, 403, "not_a_member", "elsewhere"),
    ("DELETE", MESSAGES + "/1", None, 403, "not_allowed", ""),
    ("DELETE", MESSAGES + "/99", None, 404, "no_such_message", "99"),
    ("DELETE", MESSAGES + "/zero", None, 422, "invalid", "zero"),
    ("PUT", "/v1/conversations/room/cursors/alice", {"read": 1}, 403, "not_allowed", "alice"),
    ("PUT", "/v1/conversations/room/cursors/me", {"read": -1}, 422, "invalid", "-1"),
    ("PUT", "/v1/conversations/room/cursors/me", {"read": "1"}, 400, "bad_request", "read"),
    ("PUT", "/v1/conversations/room", {"members": ["bob"]}, 403, "not_allowed", ""),
    ("GET", "/v1/users/alice/conversations", None, 403, "not_allowed", "alice"),
    ("GET", "/v1/teleport", None, 404, "not_found", "teleport"),
    ("PATCH", MESSAGES, None, 405, "method_not_allowed", "PATCH"),
    ("PUT", "/v1/conversations/room/me", {"notify": "loud"}, 422, "invalid", "'loud'"),
    ("PUT", "/v1/conversations/room/me", {"mute_until": -1}, 422, "invalid", "-1"),
    ("PUT", "/v1/conversations/room/me", {"mute_until": 2**60}, 422, "invalid", "mute_until"),
    ("PUT", "/v1/conversations/room/me", {"mute_until": "now"}, 400, "bad_request", "mute_until"),
    ("PUT", "/v1/conversations/room/me", {}, 400, "bad_request", "'notify'"),
    ("PUT", "/v1/conversations/elsewhere/me", {"notify": "none"}, 403, "not_a_member", "elsewhere"),
    ("PUT", "/v1/conversations/nowhere/me", {"notify": "none"}, 404, "no_such_conversation", "nowhere"),
    ("GET", "/v1/users/alice/unread", None, 403, "not_allowed", "alice"),
    ("GET", "/v1/offline", None, 403, "not_allowed", ""),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code", "named"), WRONG_CALLS, ids=range(len(WRONG_CALLS))
)
async def test_a_wrong_call_is_a_problem_and_stores_nothing(
    service: LocalService, bob: Wire, method: str, path: str, body: Any, status: int, code: str, named: str
) -> None:
    content = {"content": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}

    answer = await service.user("bob").request(method, path, **content)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert named in problem["detail"]
    assert "xxxxxxxxxx" not in answer.text
    await still_works(service, bob)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "token_invalid"),
        ({"Authorization": "Bearer garbage"}, "token_invalid"),
        ({"Authorization": "Basic Ym9iOmJvYg=="}, "token_invalid"),
        ({"Authorization": f"Bearer {token_of('bob', exp=1_700_000_000)}"}, "token_expired"),
        ({"X-API-Key": "another key"}, "token_invalid"),
        ({"X-API-Key": API_KEY + "x"}, "token_invalid"),
    ],
)
async def test_a_caller_who_is_not_known_is_refused(
    service: LocalService, bob: Wire, headers: dict[str, str], reason: str
) -> None:
    answer = await service.anybody(**headers).post(MESSAGES, json={"cmid": "c", "body": 1})

    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (401, "unauthenticated", reason)
    assert "garbage" not in answer.text
    await still_works(service, bob)


async def test_a_bad_item_of_a_batch_fails_alone(service: LocalService, bob: Wire) -> None:
    batch = [
        {"cid": "room", "from": "bob", "cmid": "good", "body": 1},
        {"cid": "nowhere", "cmid": "c", "body": 1},
        {"cid": "room", "cmid": "c", "body": 1, "kind": "redact"},
        {"cid": "room", "cmid": 5, "body": 1},
        "not an object",
        {"cid": "room", "cmid": "last", "body": 2},
    ]

    answer = await service.server.post("/v1/messages", json=batch)

    codes = [one.get("error", {}).get("code") for one in answer.json()]
    assert codes == [None, "no_such_conversation", "invalid", "bad_request", "bad_request", None]
    assert [item["cmid"] for item in await bob.collect("room", 3, after=1)] == ["good", "last"]
