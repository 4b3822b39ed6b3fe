"""The OpenAPI 3.1 document, made from the table of calls: what is routed is described, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

import msgspec

from pushpull.delivery import transfer
from pushpull.web.endpoint import Endpoint, Who
from pushpull.web.parameters import NAME_SCHEMA, SEQ_SCHEMA, is_required
from pushpull.web.problems import MEDIA_TYPE, Problem

REF_TEMPLATE: Final = "#/components/schemas/{name}"

Lines = Annotated[str, msgspec.Meta(description="one JSON object a line")]
"""The type of a body that is streamed: application/x-ndjson."""

_SECURITY: Final[dict[Who, list[dict[str, list[str]]]]] = {
    Who.ANYBODY: [],
    Who.USER: [{"token": []}, {"key": []}],
    Who.SERVER: [{"key": []}],
}
_SCHEMES: Final = {
    "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "claim `sub`: the user"},
    "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "for servers, acts for anyone"},
}
_PATH_SCHEMAS: Final = {"cid": NAME_SCHEMA, "uid": NAME_SCHEMA, "seq": SEQ_SCHEMA, "session": {"type": "string"}}
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")


def openapi_document(endpoints: Sequence[Endpoint], *, version: str) -> dict[str, Any]:
    """The document as plain values, ready for JSON."""
    types = list(_types(endpoints))
    schemas, components = msgspec.json.schema_components(types, ref_template=REF_TEMPLATE)
    schema_of = dict(zip(map(str, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pushpull",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _SCHEMES},
    }


def _types(endpoints: Iterable[Endpoint]) -> Iterable[Any]:
    """Each type that a body or an answer has, once, and the one of errors."""
    named: dict[str, Any] = {str(Problem): Problem}
    for endpoint in endpoints:
        for wanted in (endpoint.body, *endpoint.answers.values()):
            if wanted is not None:
                named[str(wanted)] = wanted
    return named.values()


def _operation(endpoint: Endpoint, schema_of: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": endpoint.run.__name__ + ("_one" if endpoint.path.endswith("{session}") else ""),
        "summary": endpoint.about,
        "security": _SECURITY[endpoint.who],
        "parameters": _parameters(endpoint),
        "responses": _responses(endpoint, schema_of),
    }
    if endpoint.body is not None:
        content = {_media_type(endpoint.body): {"schema": schema_of[str(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameters(endpoint: Endpoint) -> list[dict[str, Any]]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": _PATH_SCHEMAS[name]}
        for name in _PLACEHOLDER.findall(endpoint.path)
    ]
    in_query = [
        {"name": parameter.name, "in": "query", "description": parameter.about, "schema": parameter.schema()}
        | ({"required": True} if is_required(parameter) else {})
        for parameter in endpoint.query
    ]
    return in_path + in_query


def _responses(endpoint: Endpoint, schema_of: dict[str, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, answer in endpoint.answers.items():
        responses[str(status)] = {"description": HTTPStatus(status).phrase}
        if answer is not None:
            responses[str(status)]["content"] = {_media_type(answer): {"schema": schema_of[str(answer)]}}
    problem = {"schema": schema_of[str(Problem)]}
    responses["default"] = {"description": "an error", "content": {MEDIA_TYPE: problem}}
    return responses


def _media_type(kind: Any) -> str:
    if kind is Lines:
        return transfer.MEDIA_TYPE
    return "text/plain" if kind is str else "application/json"
