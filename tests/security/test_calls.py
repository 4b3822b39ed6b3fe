"""Every HTTP call, by everybody: who gets what, what the answer gives away, and what a refused call leaves behind."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from pushpull.web.endpoint import Who
from pushpull.web.routes import ENDPOINTS
from tests.e2e.service import API_KEY, LocalService
from tests.security.conftest import QUIET_MEMBER, ROLES, TITLE, WORDS, Digest
from tests.security.credentials import FORGED_HEADERS, REASONS

NM, NA = "403 not_a_member", "403 not_allowed"
BAD = "422 invalid"
GONE = "404 no_such_message"  # the moderator, who is asked before, was allowed to

MEMBERS = (NM, NM, "200", "200", "200", "200")
SERVERS = (NA, NA, NA, NA, NA, "200")
ALL = ("200",) * 6

CONVERSATION = "/v1/conversations/{cid}"
MESSAGES = CONVERSATION + "/messages"
CURSORS = CONVERSATION + "/cursors/{uid}"
USER = "/v1/users/{uid}"
OTHERS = {"cmid": "c", "body": 1, "from": "alice"}
NOTE = {"cmid": "c", "body": 1}

# call, what differs in its path, body, and the answer to: stranger, former member, reader, member, moderator, server
TABLE: list[tuple[str, str, Any, tuple[str, ...]]] = [
    (f"PUT {CONVERSATION}", "", {"settings": {"mode": "push"}}, SERVERS),
    (f"GET {CONVERSATION}", "", None, MEMBERS),
    (f"DELETE {CONVERSATION}", "", None, (NA, NA, NA, NA, NA, "204")),
    (f"POST {CONVERSATION}/members", "", {"add": ["stranger"]}, SERVERS),
    (f"GET {CONVERSATION}/members", "", None, MEMBERS),
    (f"POST {MESSAGES}", "", NOTE, (NM, NM, NA, "201", "201", "201")),
    (f"POST {MESSAGES}", "", OTHERS, (NA, NA, NA, NA, NA, "201")),
    (f"POST {MESSAGES}", "", {**NOTE, "kind": "sys.x"}, (BAD, BAD, BAD, BAD, BAD, "201")),
    (f"POST {MESSAGES}", "", {**NOTE, "kind": "redact", "ref": 1}, (BAD,) * 6),
    (f"POST {MESSAGES}", "", {**NOTE, "kind": "edit", "ref": 1}, (NM, NM, NA, NA, NA, NA)),
    (f"GET {MESSAGES}", "", None, MEMBERS),
    (f"GET {MESSAGES}", "?after=0", None, MEMBERS),
    (f"DELETE {MESSAGES}/{{seq}}", "", None, (NM, NM, NA, NA, "200", GONE)),
    (f"DELETE {MESSAGES}/{{seq}}", "seq=2", None, (NM, NM, NA, NA, "200", GONE)),
    (f"GET {CONVERSATION}/export", "", None, SERVERS),
    (f"POST {CONVERSATION}/import", "", {"type": "conversation", "format": 1}, (NA, NA, NA, NA, NA, BAD)),
    (f"DELETE {CONVERSATION}/import", "", None, (NA, NA, NA, NA, NA, "404 no_such_conversation")),
    ("POST /v1/messages", "", [{"cid": "room", **NOTE}], SERVERS),
    (f"PUT {CURSORS}", "", {"read": 2}, SERVERS),
    (f"PUT {CURSORS}", "uid=me", {"read": 1}, (NM, NM, "200", "200", "200", NM)),
    (f"PUT {CONVERSATION}/me", "", {"notify": "none"}, (NM, NM, "200", "200", "200", NM)),
    (f"GET {CONVERSATION}/receipts/{{seq}}", "", None, MEMBERS),
    (f"GET {CONVERSATION}/presence", "", None, MEMBERS),
    (f"GET {CONVERSATION}/pending", "?limit=9", None, SERVERS),
    (f"GET {CONVERSATION}/trace", "?user=alice&seq=1", None, SERVERS),
    (f"GET {CONVERSATION}/trace", "?user=alice", None, (NA, NA, NA, NA, NA, BAD)),
    (f"GET {USER}/conversations", "", None, SERVERS),
    (f"GET {USER}/conversations", "uid=me", None, ALL),
    (f"GET {USER}/unread", "", None, SERVERS),
    (f"GET {USER}/unread", "uid=me", None, ALL),
    ("GET /v1/offline", "", None, SERVERS),
    ("POST /v1/offline/requeue", "", {}, SERVERS),
    (f"GET {USER}/sessions", "", None, SERVERS),
    (f"DELETE {USER}/sessions", "", None, (NA, NA, NA, NA, NA, "204")),
    (f"DELETE {USER}/sessions/{{session}}", "", None, (NA, NA, NA, NA, NA, "204")),
    (f"PUT {USER}/revoked_before", "", {"ts": 5}, SERVERS),
    (f"DELETE {USER}", "?messages=redact", None, (NA, NA, NA, NA, NA, "202")),
    (f"DELETE {USER}", "", None, (NA, NA, NA, NA, NA, BAD)),
    (f"GET {USER}/deletion", "", None, SERVERS),
    ("GET /v1/policy", "", None, SERVERS),
    ("PUT /v1/policy", "", {}, SERVERS),
    ("GET /v1/nodes", "", None, SERVERS),
    ("GET /v1/stats", "", None, SERVERS),
    ("GET /v1/conversations", "?limit=5", None, SERVERS),
    ("GET /healthz", "", None, ALL),
    ("GET /readyz", "", None, ALL),
    ("GET /metrics", "", None, ALL),
    ("GET /openapi.json", "", None, ALL),
    ("GET /asyncapi.json", "", None, ALL),
]
GUARDED = {f"{one.method} {one.path}" for one in ENDPOINTS if one.who is not Who.ANYBODY}
ROWS = pytest.mark.parametrize(
    ("call", "differs", "body", "expected"), TABLE, ids=[f"{n} {row[0]}" for n, row in enumerate(TABLE)]
)


def path_of(call: str, differs: str, cid: str = "room") -> str:
    """The call's path, made out in the room, about alice and her message."""
    names = {"cid": cid, "uid": "alice", "seq": "1", "session": "s1"}
    query = differs if differs.startswith("?") else ""
    if differs and not query:
        names.update([differs.split("=")])
    return call.split()[1].format(**names) + query


def said(answer: httpx2.Response) -> str:
    """The status, and the code where it is a problem: as in the table."""
    if answer.status_code < 400:
        return str(answer.status_code)
    assert answer.headers["content-type"] == "application/problem+json"
    return f"{answer.status_code} {answer.json()['code']}"


def assert_tells_nothing(answer: httpx2.Response) -> None:
    """A refusal holds nothing of the room, and nothing of what it was asked with."""
    for secret in (WORDS, TITLE, QUIET_MEMBER, "eyJ", API_KEY, "not-an-api-key"):
        assert secret not in answer.text
        assert secret not in str(answer.headers)


def test_every_call_has_a_row() -> None:
    assert {row[0] for row in TABLE} == {f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS}


@ROWS
async def test_each_role_gets_what_the_table_says(
    over_http: LocalService, digest: Digest, call: str, differs: str, body: Any, expected: tuple[str, ...]
) -> None:
    callers = [over_http.user(role) for role in ROLES] + [over_http.server]
    got: list[str] = []
    for caller in callers:
        before = digest()

        answer = await caller.request(call.split()[0], path_of(call, differs), json=body)

        got.append(said(answer))
        if answer.status_code >= 400:
            assert_tells_nothing(answer)
            assert digest() == before, "a refused call left a trace"
    assert tuple(got) == expected


@ROWS
async def test_who_cannot_be_told_is_refused_before_anything_else(
    over_http: LocalService, digest: Digest, call: str, differs: str, body: Any, expected: tuple[str, ...]
) -> None:
    before = digest()
    caller = over_http.anybody()

    for name, headers in FORGED_HEADERS.items():
        answer = await caller.request(call.split()[0], path_of(call, differs), json=body, headers=headers)

        if call not in GUARDED:
            assert answer.status_code == 200, name
            continue
        assert said(answer) == "401 unauthenticated", name
        assert answer.json()["reason"] == REASONS.get(name, "token_invalid"), name
        assert answer.headers["www-authenticate"] == "Bearer"
        assert_tells_nothing(answer)
    assert digest() == before


@pytest.mark.parametrize("call", [row for row in TABLE if row[3][0] == NM], ids=lambda row: f"{row[0]} {row[2]}")
async def test_what_does_not_exist_is_404_to_whoever_asks(over_http: LocalService, call: Any) -> None:
    """403 for a room one is not in, 404 for none: a cid can be probed, its content cannot. docs/security.md says so."""
    name, differs, body, _ = call
    nowhere = path_of(name, differs, cid="nowhere")

    for caller in (over_http.user("stranger"), over_http.user("member"), over_http.server):
        answer = await caller.request(name.split()[0], nowhere, json=body)
        assert said(answer) == "404 no_such_conversation"


async def test_a_key_goes_before_a_token_and_neither_lends_the_other_anything(over_http: LocalService) -> None:
    token = over_http.user("stranger").headers["authorization"]
    both = over_http.anybody(**{"X-API-Key": API_KEY, "Authorization": token})
    garbage = over_http.anybody(**{"X-API-Key": API_KEY, "Authorization": "Bearer garbage"})

    for caller in (both, garbage):
        assert (await caller.get("/v1/nodes")).status_code == 200
        # The key alone decides, so `me` is nobody: it is not the user of the token.
        assert said(await caller.put("/v1/conversations/room/cursors/me", json={"read": 1})) == NM


async def test_a_token_in_the_query_opens_no_call(over_http: LocalService) -> None:
    token = over_http.user("member").headers["authorization"].split()[1]

    answer = await over_http.anybody().get("/v1/conversations/room", params={"token": token})

    assert said(answer) == "401 unauthenticated"
    assert_tells_nothing(answer)
