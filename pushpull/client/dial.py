"""Making a chat: what a device is told once, checked."""

from __future__ import annotations

import random
import secrets
from collections.abc import Mapping
from typing import Any, Final

from pushpull import __version__
from pushpull.client.addresses import Urls, urls_in, websocket_url
from pushpull.client.chat import Chat
from pushpull.client.connection import OnPositions
from pushpull.client.rotation import Rotation
from pushpull.client.screen import FEATURE
from pushpull.client.tokens import Token, TokenSource
from pushpull.errors import Invalid
from pushpull.model import check_cid, check_log_id

OPEN_S: Final = 15.0


def connect(  # noqa: PLR0913 - what a device may be told, all by name and all but the token with a default
    url: Urls,
    *,
    token: Token,
    device: str | None = None,
    positions: Mapping[str, str] | None = None,
    on_positions: OnPositions | None = None,
    unnamed: str = "delivered",
    max_backlog: int | None = None,
    auto_ack: bool = True,
    receipts: bool = False,
    open_s: float = OPEN_S,
) -> Chat:
    """A chat to be entered with `async with`; it stays connected until it is left.

    `url`: of the service, http(s) or ws(s); of several nodes as a list, or separated by commas: the device begins at
    any of them, and goes on at another when the one it is on goes away. `token`: a JWT, or a function (plain or async)
    that returns a fresh one each time it is called. `device`: names this installation; without one, a new name each
    time. `positions`: where this device stands ({cid: log id}, from `positions` or `on_positions`); a conversation it
    does not name starts where `unnamed` says: `delivered` (what no device of the user has acked), `all` or `head`.
    `on_positions`: called, plain or async, with the positions that moved, before they are acked. `auto_ack`: see
    `Chat.messages`. `receipts`: let `Chat.events` tell how far the others are in small conversations (`Receipt`).
    `open_s`: how long entering may take.

    Entering raises Unauthenticated for a refused token, ConnectionEnded when the service is not reached in time.
    """
    if unnamed not in ("delivered", "all", "head"):
        raise Invalid(f"unnamed {unnamed!r:.40} is not delivered, all or head")
    for cid, log_id in (positions or {}).items():
        check_cid(cid)
        check_log_id(log_id)
    hello: dict[str, Any] = {
        "features": [FEATURE],
        "device": device or f"python-{secrets.token_hex(6)}",
        "client": f"pushpull-python/{__version__}",
        "unnamed": unnamed,
    }
    if receipts:
        hello["features"] = [FEATURE, "receipts"]
    if max_backlog is not None:
        hello["max_backlog"] = max_backlog
    return Chat(
        Rotation([websocket_url(each) for each in urls_in(url)], random.random),
        TokenSource(token),
        hello=hello,
        positions=positions or {},
        on_positions=on_positions,
        auto_ack=auto_ack,
        open_s=open_s,
    )
