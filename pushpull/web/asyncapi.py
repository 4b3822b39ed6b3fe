"""The AsyncAPI 3.0 document of the WebSocket: what may be said on it, both ways, made from the types of the frames."""

from __future__ import annotations

from typing import Any, Final, get_args

import msgspec

from pushpull.delivery.client_frames import ClientFrame
from pushpull.delivery.frames import SUBPROTOCOL
from pushpull.web.openapi import REF_TEMPLATE
from pushpull.web.spoken import ServiceFrame

HEARD: Final = {str(kind.__struct_config__.tag): kind for kind in get_args(ClientFrame)}
SAID: Final = {str(kind.__struct_config__.tag): kind for kind in get_args(ServiceFrame)}
"""Each frame's type by its name on the wire: those to the service, and those from it."""

ANSWERS: Final = {
    "hello": ("welcome", "error"),
    "send": ("sent", "error"),
    "read": ("cursors", "error"),
    "pull": ("messages", "history", "error"),
    "sync": ("sync", "error"),
    "ping": ("pong",),
}
"""What answers a frame, where something does. Any other is answered by an `error` at most."""

_CHANNEL: Final = "#/channels/session"
_DESCRIPTION: Final = (
    "One JSON object per text frame. The token comes in `hello`, or as `Authorization: Bearer` with the upgrade. "
    "Ignore types, fields and values that you do not know: later releases add some. "
    "What the frames mean, and the rule for receiving: the page on the wire protocol."
)


def asyncapi_document(*, path: str, version: str) -> dict[str, Any]:
    """The document as plain values, ready for JSON. `path` is where the upgrade is."""
    kinds = [*HEARD.values(), *SAID.values()]
    _, components = msgspec.json.schema_components(kinds, ref_template=REF_TEMPLATE)
    messages = {
        **{f"to_service.{name}": _message(name, kind) for name, kind in HEARD.items()},
        **{f"from_service.{name}": _message(name, kind) for name, kind in SAID.items()},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "pushpull",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {"session": _channel(path, messages)},
        "operations": {
            **{f"hear_{name}": _heard(name) for name in HEARD},
            **{f"say_{name}": _operation("send", "from_service", name) for name in SAID},
        },
        "components": {
            "messages": messages,
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
        },
    }


def _message(name: str, kind: type) -> dict[str, Any]:
    return {
        "name": name,
        "summary": " ".join((kind.__doc__ or "").split()),
        "payload": {"$ref": REF_TEMPLATE.format(name=kind.__name__)},
    }


def _channel(path: str, messages: dict[str, Any]) -> dict[str, Any]:
    headers = {"type": "object", "properties": {"Sec-WebSocket-Protocol": {"type": "string", "const": SUBPROTOCOL}}}
    return {
        "address": path,
        "description": f"One device's connection, subprotocol `{SUBPROTOCOL}`.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "headers": headers, "bindingVersion": "0.1.0"}},
    }


def _heard(name: str) -> dict[str, Any]:
    operation = _operation("receive", "to_service", name)
    answers = ANSWERS.get(name, ())
    if answers:
        messages = [{"$ref": f"{_CHANNEL}/messages/from_service.{answer}"} for answer in answers]
        operation["reply"] = {"channel": {"$ref": _CHANNEL}, "messages": messages}
    return operation


def _operation(action: str, side: str, name: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": _CHANNEL},
        "messages": [{"$ref": f"{_CHANNEL}/messages/{side}.{name}"}],
    }
