"""The AsyncAPI document against the frames' own types, and against the rules of AsyncAPI 3.0."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from pushpull.delivery import client_frames
from pushpull.web.app import WEBSOCKET_PATH
from pushpull.web.asyncapi import ANSWERS, HEARD, SAID

NAME = re.compile(r"[\w.-]+")  # what AsyncAPI allows as the key of a component


@pytest.fixture
async def document(anybody: httpx2.AsyncClient) -> dict[str, Any]:
    answer = await anybody.get("/asyncapi.json")
    assert answer.status_code == 200
    document: dict[str, Any] = answer.json()
    return document


def refs(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from refs(inner)


def target(document: dict[str, Any], ref: str) -> Any:
    """What a reference points at. Raises KeyError."""
    found: Any = document
    for part in ref.removeprefix("#/").split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


async def test_it_is_asyncapi_3_with_what_that_requires(document: dict[str, Any]) -> None:
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    assert document["channels"]["session"]["address"] == WEBSOCKET_PATH
    for operation in document["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"] == {"$ref": "#/channels/session"}


async def test_every_socket_of_the_application_is_a_channel(document: dict[str, Any], app: Starlette) -> None:
    routed = {route.path for route in app.routes if isinstance(route, WebSocketRoute)}
    assert routed == {channel["address"] for channel in document["channels"].values()}


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert len(list(refs(document))) > 100
    for ref in refs(document):
        target(document, ref)


async def test_operations_name_messages_by_their_channel(document: dict[str, Any]) -> None:
    for operation in document["operations"].values():
        for message in [*operation["messages"], *operation.get("reply", {}).get("messages", [])]:
            assert message["$ref"].startswith("#/channels/session/messages/")


async def test_keys_are_names_that_asyncapi_allows(document: dict[str, Any]) -> None:
    for part in document["components"].values():
        assert all(NAME.fullmatch(key) for key in part)


async def test_every_frame_has_a_message_a_payload_and_a_word_about_it(document: dict[str, Any]) -> None:
    messages = document["components"]["messages"]

    assert set(messages) == {f"to_service.{name}" for name in HEARD} | {f"from_service.{name}" for name in SAID}
    for key, message in messages.items():
        payload = target(document, message["payload"]["$ref"])
        assert payload["properties"]["type"] == {"enum": [key.partition(".")[2]]}
        assert payload["description"] == message["summary"] != ""


def test_what_the_service_takes_is_what_is_described() -> None:
    assert set(HEARD) == client_frames.KNOWN_TYPES
    assert set(ANSWERS) <= set(HEARD)
    assert {answer for answers in ANSWERS.values() for answer in answers} <= set(SAID)


async def test_every_schema_is_one(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.validator_for({**schema, "components": document["components"]})
        assert json.dumps(schema)
