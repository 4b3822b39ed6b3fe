"""Headers that every HTTP answer carries, whoever made it: a call, CORS, or the router."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")
"""A body is relayed as it came: no browser shall take a chat message for a page or a script."""

_NO_STORE: Final = (b"cache-control", b"no-store")
"""Answers hold what one user may see. A call whose answer may be kept says so by itself."""


class Hardened:
    """ASGI middleware. Adds `X-Content-Type-Options: nosniff`, and `Cache-Control: no-store` unless one is there."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                _harden(message)
            await send(message)

        await self._app(scope, receive, send_hardened)


def _harden(start: MutableMapping[str, Any]) -> None:
    headers = [*start.get("headers", ()), _NOSNIFF]
    if not any(name.lower() == _NO_STORE[0] for name, _ in headers):
        headers.append(_NO_STORE)
    start["headers"] = headers
