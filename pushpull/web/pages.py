"""What browsers load: the JavaScript client under /sdk, the demo chat, the operator's console.

Each is a folder of files beside this module that the wheel carries along, flat, and read once. Pages load nothing from
other hosts: the Content-Security-Policy holds them to it. Links inside a page are relative (`demo/chat.js`,
`sdk/pushpull.js`), so that they work behind a proxy that serves all this below a path.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from pushpull.settings import LOOPBACK, Settings, demo_is_on

_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "ts": "text/plain; charset=utf-8",
    "json": "application/json",
    "md": "text/plain; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webmanifest": "application/manifest+json",
}
"""What is served, by the end of its name; nothing else in those folders is."""

_CACHE_CONTROL: Final = "no-cache"
"""Kept, and asked for again each time: the names stay the same over releases, and the answer is a 304 then."""

_HOST: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")

_PROXIED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    body: bytes
    media_type: str
    etag: str


def page_routes(settings: Settings) -> list[Route]:
    """The routes of everything that browsers load and the settings allow."""
    routes = [Route("/sdk/{name}", _files("sdk"))]
    if settings.server.console:
        routes += _page("console")
    if demo_is_on(settings):
        routes += _page("demo", local_only=settings.server.demo == "auto")
    return routes


def from_this_machine(request: Request) -> bool:
    """Whether the request was made to this machine by its own name, and no proxy says that it comes from elsewhere.

    A page of another site whose name was made to point here (DNS rebinding) is known by its Host.
    """
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host) or any(header in request.headers for header in _PROXIED):
        return False
    return urlsplit(f"//{host}").hostname in LOOPBACK


@functools.cache
def assets_of(folder: str) -> Mapping[str, Asset]:
    """The files of a folder by their names. Bounded by what the package holds."""
    found = {}
    for file in files("pushpull.web").joinpath(folder).iterdir():
        media_type = _MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None and file.is_file():
            body = file.read_bytes()
            found[file.name] = Asset(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


def _page(folder: str, *, local_only: bool = False) -> list[Route]:
    """`/folder` is its index.html, `/folder/name` the rest."""

    async def without_slash(request: Request) -> Response:
        return RedirectResponse(f"../{folder}", 308)  # one level up: links in the page are relative to the root

    return [
        Route(f"/{folder}", _files(folder, local_only=local_only)),
        Route(f"/{folder}/", without_slash),
        Route(f"/{folder}/{{name}}", _files(folder, local_only=local_only)),
    ]


def _files(folder: str, *, local_only: bool = False) -> Endpoint:
    async def answer(request: Request) -> Response:
        asset = assets_of(folder).get(request.path_params.get("name", "index.html"))
        if asset is None or (local_only and not from_this_machine(request)):
            raise HTTPException(404)
        return _answer(asset, request)

    return answer


def _answer(asset: Asset, request: Request) -> Response:
    headers = {
        "ETag": asset.etag,
        "Cache-Control": _CACHE_CONTROL,
        "Content-Security-Policy": content_security_policy(request.headers.get("host", "")),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    held = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if asset.etag in held or "*" in held:
        return Response(status_code=304, headers=headers)
    return Response(asset.body, 200, headers, asset.media_type)


def content_security_policy(host: str) -> str:
    """What a page may do: scripts, styles and calls of its own origin, and nothing in other people's frames.

    `host` is that of the request. Older browsers don't take a WebSocket to one's own host for `'self'`, so it is named.
    """
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; manifest-src 'self'; "
        f"connect-src 'self'{sockets}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
