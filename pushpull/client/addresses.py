"""Where a service is, as a client is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from pushpull.errors import Invalid

_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
Urls = str | Sequence[str]
"""Where a service is: one URL, several separated by commas, or several. Each is a node, or what balances over many."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(url: str) -> bool:
    """Whether `url` is on this machine, where a proxy has no business."""
    return urlsplit(url).hostname in _LOOPBACK


def urls_in(urls: Urls) -> tuple[str, ...]:
    """Each URL once, in the order given, without blanks and a slash at the end. Raises Invalid where there is none."""
    listed = urls.split(",") if isinstance(urls, str) else urls
    found = tuple(dict.fromkeys(url.strip().rstrip("/") for url in listed if url.strip()))
    if not found:
        raise Invalid(f"no url in {urls!r:.200}, expected one at least")
    return found


def websocket_url(url: str) -> str:
    """The WebSocket of a service at `url` (http, https, ws or wss; with or without the path). Raises Invalid."""
    parts = urlsplit(url)
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.hostname:
        raise Invalid(f"url {url!r:.200} is not http://, https://, ws:// or wss:// with a host")
    path = parts.path.rstrip("/")
    return urlunsplit((scheme, parts.netloc, path if path.endswith("/v1/ws") else f"{path}/v1/ws", parts.query, ""))
