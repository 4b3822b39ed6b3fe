"""The check of what the service says can fail; and a document that describes nothing does not pass."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from tests.documented import Undocumented, check_answer, check_frame, closed, types

NOTICE: dict[str, Any] = {"type": "notice", "cid": "tea", "head": 3, "count": 3}
SENT = b'{"cid":"tea","cmid":"a","id":"1-5","dup":false}'
MESSAGES = "/v1/conversations/tea/messages"


def test_what_is_described_passes() -> None:
    check_frame("from_service", NOTICE)
    check_frame("from_service", {**NOTICE, "mentioned": True})
    check_frame("to_service", {"type": "send", "cid": "tea", "cmid": "a", "body": {"any": ["thing"]}, "rid": 7})
    check_answer("POST", MESSAGES, 201, "application/json", SENT)
    check_answer("DELETE", "/v1/conversations/tea", 204, "", b"")
    check_answer("GET", "/metrics", 200, "text/plain; version=1.0.0", b"up 1")


@pytest.mark.parametrize(
    "frame",
    [
        {**NOTICE, "extra": 1},
        {**NOTICE, "head": "3"},
        {"type": "notice", "cid": "tea", "head": 3},
        {**NOTICE, "mentioned": False},
        {"type": "rumour"},
        {},
    ],
    ids=["a field more", "a wrong type", "a field less", "a wrong value", "an unknown type", "no type"],
)
def test_a_frame_that_is_not_described_fails(frame: dict[str, Any]) -> None:
    with pytest.raises(Undocumented):
        check_frame("from_service", frame)


def test_a_field_more_is_found_inside_of_what_a_frame_holds() -> None:
    item = {"id": "1-5", "seq": 1, "ts": 5, "cmid": "a", "kind": "message", "body": {"anything": "goes"}}
    page = {"type": "messages", "cid": "tea", "after": 0, "upto": 1, "upto_id": "1-5", "head": 1, "floor": 1}

    check_frame("from_service", {**page, "items": [item]})
    with pytest.raises(Undocumented, match="colour"):
        check_frame("from_service", {**page, "items": [{**item, "colour": "red"}]})


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (201, "application/json", SENT[:-1] + b',"more":1}'),
        (201, "text/plain", SENT),
        (202, "application/json", SENT),
        (409, "application/json", b"{}"),
        (409, "application/problem+json", b'{"code":"cmid_conflict"}'),
    ],
    ids=["a field more", "another type", "another status", "an error of another type", "an error without its fields"],
)
def test_an_answer_that_is_not_described_fails(status: int, media_type: str, body: bytes) -> None:
    with pytest.raises(Undocumented):
        check_answer("POST", MESSAGES, status, media_type, body)


def test_what_is_no_call_is_let_pass() -> None:
    check_answer("GET", "/sdk/pushpull.js", 200, "text/javascript", b"")


def test_every_frame_of_either_side_is_checked() -> None:
    assert {"hello", "send", "ack", "pong"} <= types("to_service")
    assert {"welcome", "messages", "error", "pong"} <= types("from_service")


def test_a_closed_shape_leaves_maps_open() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "integer"}}}}
    validator = jsonschema_rs.validator_for(closed(schema))

    assert validator.is_valid({"a": {"any": 1}})
    assert not validator.is_valid({"a": {"any": "x"}})
    assert not validator.is_valid({"b": 1})
