"""The HTTP calls' page, from the OpenAPI document that the service serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import pushpull
from pushpull.web.openapi import openapi_document
from pushpull.web.routes import ENDPOINTS
from scripts.documenting.prose import table
from scripts.documenting.shapes import fields_table, phrase

_HEAD: Final = """\
# HTTP calls

Made from the OpenAPI document, which a running service serves at `/openapi.json` and this site holds as
[openapi.json](openapi.json). What the calls are for, with examples: [the wire protocol](../protocol.md#http). A user's
call carries `Authorization: Bearer <token>`; a backend's `X-API-Key`. Errors are `application/problem+json`, shaped as
[Problem](#problem).
"""

Document = Mapping[str, Any]


def openapi() -> Document:
    """The document, as the service of this release serves it."""
    return openapi_document(ENDPOINTS, version=pushpull.__version__)


def calls_page() -> str:
    """The page as Markdown."""
    document = openapi()
    parts = [_HEAD]
    group = ""
    for path, method, operation in sorted(_operations(document), key=lambda one: _group(one[0])):
        if _group(path) != group:
            group = _group(path)
            parts.append(f"\n## {group}\n")
        parts.append(_call(path, method, operation))
    parts.append("\n## Shapes\n")
    parts += [_shape(name, schema) for name, schema in sorted(document["components"]["schemas"].items())]
    return "".join(parts)


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def _group(path: str) -> str:
    """The heading under which a path stands: what its first part names."""
    first, _, rest = path.removeprefix("/").partition("/")
    if first != "v1":
        return "The process"
    return rest.partition("/")[0].capitalize()


def _call(path: str, method: str, operation: Document) -> str:
    parameters = [(f"`{one['name']}`", one["in"], _about(one)) for one in operation["parameters"]]
    lines = [f"\n### {method} {path}\n", f"{operation['summary']} *{_who(operation)}*\n"]
    lines.append(table(("parameter", "in", ""), parameters))
    if "requestBody" in operation:
        content = operation["requestBody"]["content"]
        lines.append(f"Body: {' or '.join(phrase(one['schema']) for one in content.values())}.\n")
    lines.append(table(("answer", ""), [_answer(status, said) for status, said in operation["responses"].items()]))
    return "\n".join(line for line in lines if line)


def _about(parameter: Document) -> str:
    about = parameter.get("description", "")
    return f"{phrase(parameter['schema'])}{'. ' if about else ''}{about}"


def _who(operation: Document) -> str:
    keys = [next(iter(one)) for one in operation["security"]]
    return {("token", "key"): "For users and backends.", ("key",): "For backends.", (): "For anybody."}[tuple(keys)]


def _answer(status: str, answer: Document) -> tuple[str, str]:
    shapes = [phrase(one["schema"]) for one in answer.get("content", {}).values()]
    return status, f"{answer['description']}{': ' if shapes else ''}{' or '.join(shapes)}"


def _shape(name: str, schema: Document) -> str:
    about = " ".join(schema.get("description", "").split())
    return f"\n### {name}\n\n{about}\n\n{fields_table(schema) or phrase(schema) + chr(10)}"
