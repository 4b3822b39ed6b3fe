"""The ASGI application: the calls, the WebSocket, pages, CORS, and errors as problems."""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import WebSocketRoute

from pushpull import __version__
from pushpull.node.node import Node
from pushpull.web.asyncapi import asyncapi_document
from pushpull.web.auth import Authenticator
from pushpull.web.demo_calls import demo_routes
from pushpull.web.endpoint import Service, routes_of
from pushpull.web.gate import Gate
from pushpull.web.hardened import Hardened
from pushpull.web.openapi import openapi_document
from pushpull.web.pages import page_routes
from pushpull.web.problems import on_http_exception
from pushpull.web.routes import ENDPOINTS
from pushpull.web.websocket import websocket_endpoint

WEBSOCKET_PATH: Final = "/v1/ws"

# API keys belong to servers, so browsers are not invited to send one.
_REQUEST_HEADERS: Final = ("Authorization", "Content-Type", "If-None-Match")
_RESPONSE_HEADERS: Final = ("ETag", "Retry-After")
_METHODS: Final = ("GET", "PUT", "POST", "DELETE")


def create_app(node: Node, authenticator: Authenticator) -> Starlette:
    """The application that serves `node`.

    Starting and stopping the node is the caller's. The app's state holds `service`, which the calls work
    on, and `gate`, which WebSockets come through.
    """
    app = Starlette(
        routes=[
            *routes_of(ENDPOINTS),
            WebSocketRoute(WEBSOCKET_PATH, websocket_endpoint),
            *demo_routes(node.settings),
            *page_routes(node.settings),
        ],
        middleware=[Middleware(Hardened), *_cors(node.settings.server.origins)],
        exception_handlers={HTTPException: on_http_exception},
    )
    # A redirect would lose the body of a PUT in many clients; a 404 says what is wrong.
    app.router.redirect_slashes = False
    openapi = msgspec.json.encode(openapi_document(ENDPOINTS, version=__version__))
    asyncapi = msgspec.json.encode(asyncapi_document(path=WEBSOCKET_PATH, version=__version__))
    app.state.service = Service(node, authenticator, openapi, asyncapi)
    app.state.gate = Gate(node, authenticator)
    return app


def _cors(allowed: tuple[str, ...]) -> list[Middleware]:
    """No origins: no CORS headers, and browsers reach the service from its own origin only."""
    if not allowed:
        return []
    # Without credentials: tokens go in a header that scripts set, cookies have no part in this.
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=allowed,
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=_RESPONSE_HEADERS,
        )
    ]
