"""Who may open a session: what an upgrade request shows by itself, on either path (web.websocket, web.direct)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

from pushpull.delivery.bucket import Bucket
from pushpull.delivery.frames import SUBPROTOCOL
from pushpull.errors import Unauthenticated
from pushpull.model import Claims, Goodbye
from pushpull.node.node import Node
from pushpull.web.auth import Authenticator

GOODBYE_S: Final = 2.0
"""For the peer's answer to our close frame; then the connection ends without it."""

REASON_BYTES: Final = 123
"""A close frame holds no more (RFC 6455, 5.5)."""

BUFFERS_MAX: Final = 4
"""Times `limits.buffer_bytes`: the hub stops pushing at one; past four it is answers nobody reads, and it ends."""

CUT_OFF: Final = Goodbye(1006, "cut off: it takes nothing of what is sent", "service")
"""How a connection ended that was not closed but dropped."""

RETRY_AFTER_S: Final = 2
"""What is said to whoever is not let in now. Clients wait for a random time around that."""


class Gate:
    """Reads headers (names in lower case) and query of the upgrade; nothing of the protocol is decided here."""

    def __init__(self, node: Node, authenticator: Authenticator) -> None:
        self.node = node
        self.checking = 0  # upgraded connections whose own token is being checked
        self._authenticator = authenticator
        limits = node.settings.limits
        self._connects = Bucket(limits.connects_per_s, limits.connects_per_s)
        self._most_handshakes = limits.handshakes

    @property
    def sockets(self) -> int:
        """WebSockets, whatever their state."""
        return self.checking + len(self.node.parts.peers.connected)

    @property
    def handshaking(self) -> int:
        """WebSockets that have no open session yet."""
        return self.sockets - len(self.node.parts.peers)

    def admits(self, now: float) -> bool:
        """Whether one more may upgrade now, by the rate and by how many are about to open a session; none while the
        node drains, so that a proxy takes it to another node. Cheap: a crowd that comes back is turned away here."""
        refused = self._refusal(now)
        if refused:
            self.node.metrics.refused_connects.labels(refused).inc()
        return not refused

    def _refusal(self, now: float) -> str:
        """Why not, in the metrics' words; "": it may."""
        if self.node.parts.draining:
            return "draining"
        if self.handshaking >= self._most_handshakes:
            return "handshakes"
        return "rate" if self._connects.take(now) else ""

    def allows_origin(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser on the page's origin may connect; whoever sends no Origin is no browser."""
        origin = headers.get("origin")
        if origin is None:
            return True
        origins = self.node.settings.server.origins
        if origins:
            return "*" in origins or origin in origins
        host = _host_of(origin)
        return host is not None and host == headers.get("host")

    def token(self, headers: Mapping[str, str], query: str) -> str | None:
        """The token of the upgrade: `Authorization: Bearer`, or in the query where the settings allow it."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        if self.node.settings.server.token_in_query:
            return parse_qs(query).get("token", [None])[0]
        return None

    async def authenticate(self, token: str) -> Claims:
        """Raises Unauthenticated; StoreUnavailable where it cannot be known whether the token was revoked."""
        try:
            claims = await self._authenticator.user(token)
            await self.node.check_revoked(claims.uid, claims.issued_at)
        except Unauthenticated as problem:
            self.node.metrics.refused_tokens.labels(problem.reason).inc()
            raise
        return claims

    async def authenticate_upgrade(self, token: str) -> Claims:
        """`authenticate` for a connection that the node does not know of yet."""
        self.checking += 1
        try:
            return await self.authenticate(token)
        finally:
            self.checking -= 1


def _host_of(origin: str) -> str | None:
    """Host and port of an Origin header; None for `null` (a page without an origin) and for what is no origin."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def speaks_ours(offered: str) -> bool:
    """Whether `Sec-WebSocket-Protocol` offers our subprotocol."""
    return SUBPROTOCOL in (name.strip() for name in offered.split(","))


def short_reason(reason: str) -> str:
    """`reason`, cut to what a close frame holds."""
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")
