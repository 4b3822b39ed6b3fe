"""What the service says, held against its own two documents: OpenAPI for answers, AsyncAPI for frames.

The documents let a client expect fields that it does not know, so a plain check would take a field that nobody wrote
down. Here every shape is closed: what is said and not described fails the test in which it was said. Whatever talks to
a service by `tests.e2e.wire` or `tests.e2e.service` is held to this, which is most of the tests there are.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final

import jsonschema_rs
import orjson

import pushpull
from pushpull.web.app import WEBSOCKET_PATH
from pushpull.web.asyncapi import asyncapi_document
from pushpull.web.openapi import openapi_document
from pushpull.web.routes import ENDPOINTS

LARGE_BYTES: Final = 256 * 1024
"""Answers above it are looked at by the tests that ask for them: thousands of rows tell no more than ten."""


def _pattern(path: str) -> re.Pattern[str]:
    """What a path of the document stands for: a name for each placeholder."""
    return re.compile("[^/]+".join(map(re.escape, re.split(r"\{\w+\}", path))))


_PATHS: Final = [(endpoint.method, _pattern(endpoint.path), endpoint.path) for endpoint in ENDPOINTS]


class Undocumented(AssertionError):
    """Something was said that the document has not."""


def closed(schema: Any) -> Any:
    """The schema with no room for what it does not name."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    if "properties" in schema:
        inner.setdefault("additionalProperties", False)
    return inner


@cache
def _asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = closed(asyncapi_document(path=WEBSOCKET_PATH, version=pushpull.__version__))
    return document


@cache
def _openapi() -> dict[str, Any]:
    document: dict[str, Any] = closed(openapi_document(ENDPOINTS, version=pushpull.__version__))
    return document


@cache
def _frames(side: str) -> dict[str, jsonschema_rs.Validator]:
    """Type -> what a frame of it may be. `side`: `to_service` or `from_service`."""
    messages = _asyncapi()["components"]["messages"]
    schemas = _asyncapi()["components"]["schemas"]
    return {
        message["name"]: _validator(message["payload"], schemas)
        for name, message in messages.items()
        if name.startswith(f"{side}.")
    }


def _validator(schema: dict[str, Any], schemas: dict[str, Any]) -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for({**schema, "components": {"schemas": schemas}})


def types(side: str) -> set[str]:
    """The types of frames that the document has for this side."""
    return set(_frames(side))


def fields(side: str, kind: str) -> set[str]:
    """What a frame of this type may have."""
    payload = _asyncapi()["components"]["messages"][f"{side}.{kind}"]["payload"]["$ref"].rpartition("/")[2]
    return set(_asyncapi()["components"]["schemas"][payload]["properties"])


def check_frame(side: str, frame: dict[str, Any]) -> None:
    """Raise Undocumented for a frame that the AsyncAPI document does not describe."""
    validator = _frames(side).get(frame.get("type", ""))
    if validator is None:
        raise Undocumented(f"{side}: no frame of type {frame.get('type')!r} is described: {frame}")
    for problem in validator.iter_errors(frame):
        raise Undocumented(f"{side}: {problem.message} in {frame}")


@cache
def _answers(method: str, path: str, status: int) -> dict[str, jsonschema_rs.Validator | None]:
    """Media type -> what an answer may be, None for anything; empty where there is no body."""
    responses = _openapi()["paths"][path][method.lower()]["responses"]
    described = responses.get(str(status), responses["default"] if status >= 400 else None)
    if described is None:
        raise Undocumented(f"{method} {path}: status {status} is not described")
    schemas = _openapi()["components"]["schemas"]
    return {
        media: _validator(content["schema"], schemas) if re.fullmatch(r"application/(\S+\+)?json", media) else None
        for media, content in described.get("content", {}).items()
    }


def check_answer(method: str, path: str, status: int, media_type: str, body: bytes) -> None:
    """Raise Undocumented for an answer that the OpenAPI document does not describe. What is no call is let pass."""
    template = next((found for verb, pattern, found in _PATHS if verb == method and pattern.fullmatch(path)), None)
    if template is None or len(body) > LARGE_BYTES:
        return
    answers = _answers(method, template, status)
    media = media_type.partition(";")[0]
    if not body and not answers:
        return
    if media not in answers:
        raise Undocumented(f"{method} {path}: {status} {media or 'without a type'} is not described: {body[:200]!r}")
    validator = answers[media]
    for problem in () if validator is None else validator.iter_errors(orjson.loads(body)):
        raise Undocumented(f"{method} {path}: {problem.message} in {body[:500]!r}")
