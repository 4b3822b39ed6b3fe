"""The WebSocket frames' page, from the AsyncAPI document that the service serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pushpull
from pushpull.web.app import WEBSOCKET_PATH
from pushpull.web.asyncapi import asyncapi_document
from scripts.documenting.shapes import REF, fields_table

_HEAD: Final = """\
# WebSocket frames

Made from the AsyncAPI document, which a running service serves at `/asyncapi.json` and this site holds as
[asyncapi.json](asyncapi.json). One JSON object per text frame, at `GET /v1/ws`, subprotocol `pushpull.v1`. What the
frames mean, the rule for receiving and a transcript: [the wire protocol](../protocol.md). Later releases may add fields
that are not listed. Any frame to the service may be answered by an `error`, and may carry a `rid`, which comes back in
its answer where that has a field for it. A `read` that moves nothing is not answered.
"""

_SIDES: Final = {"to_service": ("To the service", ""), "from_service": ("From the service", "from-")}
"""The first part of a message's key -> its heading, and what its frames' anchors begin with."""

# Frames that both sides say are told about once, on the page of the protocol.
_TOLD_TOGETHER: Final = {"ping": "ping-pong", "pong": "ping-pong"}
_TOLD_TWICE: Final = {"from_service.sync": "sync_1", "from_service.signal": "signal_1"}

Document = Mapping[str, Any]


def asyncapi() -> Document:
    """The document, as the service of this release serves it."""
    return asyncapi_document(path=WEBSOCKET_PATH, version=pushpull.__version__)


def frames_page() -> str:
    """The page as Markdown."""
    document = asyncapi()
    components = document["components"]
    parts = [_HEAD]
    for side, (title, prefix) in _SIDES.items():
        parts.append(f"\n## {title}\n")
        for key, message in components["messages"].items():
            if key.startswith(f"{side}."):
                parts.append(_frame(document, key, message, prefix))
    parts.append("\n## What stands in them\n")
    payloads = {message["payload"]["$ref"].removeprefix(REF) for message in components["messages"].values()}
    for name, schema in sorted(components["schemas"].items()):
        if name not in payloads:
            parts.append(f"\n### {name}\n\n{schema.get('description', '')}\n\n{fields_table(schema)}")
    return "".join(parts)


def _frame(document: Document, key: str, message: Document, prefix: str) -> str:
    name = message["name"]
    schema = document["components"]["schemas"][message["payload"]["$ref"].removeprefix(REF)]
    shown = {**schema, "properties": {field: of for field, of in schema["properties"].items() if field != "type"}}
    told = _TOLD_TWICE.get(key) or _TOLD_TOGETHER.get(name, name)
    return (
        f"\n### {name} {{ #{prefix}{name} }}\n\n{message['summary']} [More](../protocol.md#{told})\n"
        f"{_answers(document, key)}\n{fields_table(shown)}"
    )


def _answers(document: Document, key: str) -> str:
    """What answers this frame, as the operation that hears it says."""
    reply = document["operations"].get(f"hear_{key.partition('.')[2]}", {}).get("reply")
    if reply is None or not key.startswith("to_service."):
        return ""
    names = [message["$ref"].rpartition(".")[2] for message in reply["messages"]]
    return f"\nAnswered by {' or '.join(f'[`{name}`](#from-{name})' for name in names)}.\n"
