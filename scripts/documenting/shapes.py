"""JSON Schema as tables: one for each object, and a phrase for each value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from scripts.documenting.prose import table

Schema = Mapping[str, Any]

REF: Final = "#/components/schemas/"
_NAMES: Final = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
    "object": "an object",
    "array": "a list",
}
_EXACT: Final = 2**53 - 1
_BOUNDS: Final = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "above"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "below"),
    ("minLength", "characters: at least"),
    ("maxLength", "characters: at most"),
)


def phrase(schema: Schema, link: Callable[[str], str] = lambda name: f"[{name}](#{name.lower()})") -> str:
    """What a value may be, in words. `link` makes of a shape's name the Markdown that leads to it."""
    if "$ref" in schema:
        return link(schema["$ref"].removeprefix(REF))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return "one of " + ", ".join(f"`{choice}`" for choice in schema["enum"])
    for either in ("anyOf", "oneOf"):
        if either in schema:
            return " or ".join(phrase(one, link) for one in schema[either])
    kinds = schema.get("type", ())
    if not isinstance(kinds, str):
        return " or ".join(_NAMES[kind] for kind in kinds) or "any JSON"
    return _of_kind(kinds, schema, link)


def _of_kind(kind: str, schema: Schema, link: Callable[[str], str]) -> str:
    items = schema.get("items")
    if kind == "array" and isinstance(items, Mapping) and items:
        return f"a list of: {phrase(items, link)}"
    values = schema.get("additionalProperties")
    if kind == "object" and isinstance(values, Mapping):
        return f"an object of: {phrase(values, link)}"
    return ", ".join([_NAMES[kind], *_bounds(schema)])


def _bounds(schema: Schema) -> list[str]:
    # Up to what JSON carries exactly is no bound to speak of.
    return [f"{words} {schema[key]:,g}" if abs(schema[key]) < 1e6 else f"{words} {schema[key]:,}"
            for key, words in _BOUNDS if key in schema and abs(schema[key]) < _EXACT]  # fmt: skip


def fields_table(schema: Schema, link: Callable[[str], str] | None = None) -> str:
    """The fields of an object's schema: name, value, and the default where it may be left out."""
    required = set(schema.get("required", ()))
    rows = [
        (f"`{name}`", _value(inner, link), "required" if name in required else _default(inner))
        for name, inner in schema.get("properties", {}).items()
    ]
    return table(("field", "value", ""), rows)


def _value(schema: Schema, link: Callable[[str], str] | None) -> str:
    said = phrase(schema) if link is None else phrase(schema, link)
    return f"{said}. {schema['description']}" if "description" in schema and "$ref" not in schema else said


def _default(schema: Schema) -> str:
    default = schema.get("default")
    return "" if default in (None, [], {}, "") else f"default `{json.dumps(default)}`"
