"""The OpenAPI document against the routes, and the answers against the document's types."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from pushpull.web.endpoint import Endpoint, Who
from pushpull.web.routes import ENDPOINTS

CONTRACT = """
PUT /v1/conversations/{cid}
GET /v1/conversations/{cid}
DELETE /v1/conversations/{cid}
POST /v1/conversations/{cid}/members
GET /v1/conversations/{cid}/members
POST /v1/conversations/{cid}/messages
POST /v1/messages
GET /v1/conversations/{cid}/messages
DELETE /v1/conversations/{cid}/messages/{seq}
GET /v1/conversations/{cid}/export
POST /v1/conversations/{cid}/import
DELETE /v1/conversations/{cid}/import
PUT /v1/conversations/{cid}/cursors/{uid}
PUT /v1/conversations/{cid}/me
GET /v1/conversations/{cid}/receipts/{seq}
GET /v1/conversations/{cid}/presence
GET /v1/conversations/{cid}/pending
GET /v1/conversations/{cid}/trace
GET /v1/users/{uid}/conversations
GET /v1/users/{uid}/unread
GET /v1/users/{uid}/sessions
DELETE /v1/users/{uid}/sessions
DELETE /v1/users/{uid}/sessions/{session}
PUT /v1/users/{uid}/revoked_before
DELETE /v1/users/{uid}
GET /v1/users/{uid}/deletion
GET /v1/policy
PUT /v1/policy
GET /v1/nodes
GET /v1/stats
GET /v1/conversations
GET /v1/offline
POST /v1/offline/requeue
GET /healthz
GET /readyz
GET /metrics
GET /openapi.json
GET /asyncapi.json
"""

PAGES = {
    f"GET {path}"
    for path in ("/sdk/{name}", *(f"/{page}{rest}" for page in ("console", "demo") for rest in ("", "/", "/{name}")))
}
"""What people load is no call."""

PAGES |= {"GET /demo/cast", "POST /demo/session", "POST /demo/crowd"}
"""What a page of ours alone asks for is no part of the contract."""


@pytest.fixture
async def document(anybody: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await anybody.get("/openapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def described(document: dict[str, Any]) -> set[str]:
    return {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item}


async def test_every_call_of_the_contract_is_described(document: dict[str, Any]) -> None:
    assert described(document) == set(CONTRACT.split("\n")) - {""}


async def test_what_is_described_is_what_is_routed(document: dict[str, Any], app: Starlette) -> None:
    routed = {
        f"{method} {route.path}"
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert described(document) == routed - PAGES


def refs(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(refs, value.values()))
    return set().union(*map(refs, value)) if isinstance(value, list) else set()


async def test_every_reference_resolves(document: dict[str, Any]) -> None:
    held = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert refs(document)
    assert refs(document) <= held


async def test_operation_ids_are_unique_and_path_parameters_described(document: dict[str, Any]) -> None:
    operations = [(path, item) for path, methods in document["paths"].items() for item in methods.values()]
    ids = [item["operationId"] for _, item in operations]
    assert len(set(ids)) == len(ids)
    for path, item in operations:
        in_path = [parameter["name"] for parameter in item["parameters"] if parameter["in"] == "path"]
        assert in_path == re.findall(r"\{(\w+)\}", path)


async def test_the_wire_names_are_in_the_schemas(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert "from" in schemas["SendBody"]["properties"]
    assert schemas["SendBody"]["required"] == ["cmid", "body"]
    assert "code" in schemas["Problem"]["properties"]


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
async def test_only_what_is_described_as_open_answers_to_anybody(
    endpoint: Endpoint, anybody: httpx2.AsyncClient, alice: httpx2.AsyncClient
) -> None:
    path = endpoint.path.format(cid="room", uid="alice", seq=1, session="s1") if "{" in endpoint.path else endpoint.path
    refused = (await anybody.request(endpoint.method, path)).status_code == 401
    assert refused == (endpoint.who is not Who.ANYBODY)
    if endpoint.who is Who.SERVER:
        assert (await alice.request(endpoint.method, path)).status_code == 403


ASKED: dict[str, tuple[str, Any]] = {
    "put_conversation": ("/v1/conversations/room", {"settings": {"mode": "push", "data": [1]}}),
    "get_conversation": ("/v1/conversations/room", None),
    "change_members": ("/v1/conversations/room/members", {"add": ["carol"]}),
    "list_members": ("/v1/conversations/room/members", None),
    "send": ("/v1/conversations/room/messages", {"cmid": "new", "body": 1}),
    "send_many": ("/v1/messages", [{"cid": "room", "cmid": "c2", "body": 1}, {"cid": "room"}]),
    "read_page": ("/v1/conversations/room/messages?after=0", None),
    "redact": ("/v1/conversations/room/messages/1", None),
    "move_cursors": ("/v1/conversations/room/cursors/alice", {"read": 1}),
    "receipts": ("/v1/conversations/room/receipts/1", None),
    "presence": ("/v1/conversations/room/presence", None),
    "pending": ("/v1/conversations/room/pending", None),
    "list_conversations": ("/v1/users/alice/conversations", None),
    "list_sessions": ("/v1/users/alice/sessions", None),
    "revoke": ("/v1/users/alice/revoked_before", {"ts": 5}),
    "get_policy": ("/v1/policy", None),
    "nodes": ("/v1/nodes", None),
    "stats": ("/v1/stats", None),
    "busiest": ("/v1/conversations", None),
    "healthz": ("/healthz", None),
    "readyz": ("/readyz", None),
}


@pytest.mark.parametrize("name", ASKED)
async def test_answers_are_of_the_type_that_is_described(name: str, server: httpx2.AsyncClient, room: str) -> None:
    (endpoint,) = [one for one in ENDPOINTS if one.run.__name__ == name]
    await server.post(f"{room}/messages", json={"cmid": "c1", "body": {"text": "hi"}, "from": "alice"})
    path, body = ASKED[name]
    answer = await server.request(endpoint.method, path, json=body)
    msgspec.json.decode(answer.content, type=endpoint.answers[answer.status_code])
