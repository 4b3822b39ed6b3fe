"""What a connection owes before it is anything, a request's header and its body, and how many such there are.

The ASGI server waits for a header and a body as long as they take, and takes a header of any size. So whoever opens
connections and says little holds them all. Here each connection that is no WebSocket (yet) is counted, and closed when
it is late; a late one costs a look once a second, one that is in time two entries in a dict.

Bounded: `limits.http_connections`; when they are all taken, the one that has been idle longest makes room, else the one
that has owed a header longest, and where there is none the newcomer is closed. At most `limits.handshakes` may owe a
header; past it the oldest of these goes, so that whoever says at once what it wants is served however many are silent.
Files are kept for everything else: see FILES_KEPT.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from typing import Any, Final, Protocol

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from pushpull.settings import Limits

HEADER_S: Final = 5.0
"""For a whole header, from the connect or its first byte on. A phone on a bad network needs a second or two."""
BODY_S: Final = 25.0
"""For a whole body. Whoever reads it gives up a little sooner, with an answer (web.bodies.READ_TIMEOUT_S)."""
CALL_S: Final = 90.0
"""From the header to the last byte of the answer. No call takes so long; whoever does not read its answer does."""
HEADER_BYTES: Final = 32 * 1024
"""Of a request line and its headers: a token of 16 KiB has room, which is what most proxies let through."""
FILES_KEPT: Final = 128
"""Files that connections leave free: Redis' connections, logs, what accept takes before a newcomer is refused."""
SWEEP_S: Final = 1.0
GOES_ON: Final = "pushpull.goes_on"
"""Among the extensions of a request's scope; see still_going."""

TOO_LARGE: Final = STATUS_LINE[431] + b"content-length: 0\r\nconnection: close\r\n\r\n"


class Arrival(Protocol):
    """A connection that is no WebSocket."""

    def drop(self) -> None:
        """End at once."""


class Arrivals:
    def __init__(self, limits: Limits, *, sockets: Callable[[], int] = lambda: 0) -> None:
        """`sockets`: how many WebSockets there are."""
        self._most = limits.http_connections
        self._most_owing = limits.handshakes
        self._sockets = sockets
        self._here: set[Arrival] = set()
        self._headers: dict[Arrival, float] = {}  # until when (s); in the order in which they are due
        self._bodies: dict[Arrival, float] = {}
        self._calls: dict[Arrival, float] = {}
        self._idle: dict[Arrival, None] = {}  # between two requests, the one idle longest first
        self._sweeping = False

    def __len__(self) -> int:
        return len(self._here)

    # ------------------------------------------------------------------------------------------------ one connection

    def enter(self, arrival: Arrival, now: float) -> bool:
        """A connection came and owes a header; False: there are too many, it must go."""
        if len(self._headers) >= self._most_owing:
            next(iter(self._headers)).drop()
        if len(self._here) >= self._most or len(self._here) + self._sockets() >= _files() - FILES_KEPT:
            oldest = next(iter(self._idle), None) or next(iter(self._headers), None)
            if oldest is None:
                return False
            oldest.drop()
        self._here.add(arrival)
        self.begin(arrival, now)
        return True

    def begin(self, arrival: Arrival, now: float) -> None:
        """A request began."""
        self._idle.pop(arrival, None)
        self._headers.setdefault(arrival, now + HEADER_S)

    def header_came(self, arrival: Arrival, now: float) -> None:
        self._headers.pop(arrival, None)
        self._bodies[arrival] = now + BODY_S
        self._calls.setdefault(arrival, now + CALL_S)

    def goes_on(self, arrival: Arrival, now: float) -> None:
        """A call that takes as long as it takes has come further: what it owes is due later."""
        if self._bodies.pop(arrival, None) is not None:
            self._bodies[arrival] = now + BODY_S
        if self._calls.pop(arrival, None) is not None:
            self._calls[arrival] = now + CALL_S

    def body_came(self, arrival: Arrival) -> None:
        self._bodies.pop(arrival, None)

    def answered(self, arrival: Arrival) -> None:
        """The answer is on its way; it may ask for more."""
        self._calls.pop(arrival, None)
        if arrival in self._here and arrival not in self._headers:
            self._idle[arrival] = None

    def leave(self, arrival: Arrival) -> None:
        """It is gone, or it is a WebSocket from now on."""
        self._here.discard(arrival)
        for owing in (self._headers, self._bodies, self._calls, self._idle):
            owing.pop(arrival, None)

    # ------------------------------------------------------------------------------------------------ time

    def sweep(self, now: float) -> None:
        """Close those who are late."""
        for owing in (self._headers, self._bodies, self._calls):
            late = []
            for arrival, due in owing.items():
                if due > now:
                    break
                late.append(arrival)
            for arrival in late:
                arrival.drop()

    def keep_sweeping(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sweep once a second for as long as anybody is here."""
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(SWEEP_S, self._sweep_again, loop)

    def _sweep_again(self, loop: asyncio.AbstractEventLoop) -> None:
        self._sweeping = False
        self.sweep(loop.time())
        if self._here:
            self.keep_sweeping(loop)


def still_going(scope: Scope) -> None:
    """Some of a long body was read, or some of a long answer is on its way: the request's time begins anew.

    For calls that only servers make; nobody else may hold a connection for longer than the constants above say.
    """
    goes_on = scope.get("extensions", {}).get(GOES_ON)
    if goes_on is not None:  # not where another server than ours runs the app
        goes_on()


def _files() -> int:
    """How many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft if soft != resource.RLIM_INFINITY else 1 << 30


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's own, which tells the Arrivals what it is doing; tests/e2e/test_arrivals.py holds what is leaned on."""

    def __init__(self, arrivals: Arrivals, **given: Any) -> None:
        super().__init__(**given)
        self._arrivals = arrivals
        self._refused = False
        self._header_bytes: int | None = 0  # of the request that is coming; None: it is here

    # ------------------------------------------------------------------------------------------------ the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if not self._arrivals.enter(self, self.loop.time()):
            self._refused = True
            transport.abort()
            return
        self._arrivals.keep_sweeping(self.loop)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrivals.leave(self)
        if not self._refused:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused or self.transport.is_closing():
            return
        if self._header_bytes is not None:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._header_bytes is not None and self._header_bytes > HEADER_BYTES:
            self._refuse_header()

    def handle_websocket_upgrade(self) -> None:
        self._arrivals.leave(self)
        super().handle_websocket_upgrade()
        # Nothing comes here any more. The parser and the scope hold this object as it holds them: 25 objects that would
        # wait for the collector, a fifth of all it looks at while devices come back.
        self.parser, self.scope = None, {}  # type: ignore[assignment, typeddict-item]

    def drop(self) -> None:
        self._arrivals.leave(self)
        self.transport.abort()

    # ------------------------------------------------------------------------------------------------ the parser

    def on_message_begin(self) -> None:
        self._header_bytes = self._header_bytes or 0
        self._arrivals.begin(self, self.loop.time())
        super().on_message_begin()
        self.scope["extensions"] = {GOES_ON: self._goes_on}  # type: ignore[dict-item]  # ours, not one of the spec's

    def on_headers_complete(self) -> None:
        self._header_bytes = None
        self._arrivals.header_came(self, self.loop.time())
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._header_bytes = 0
        self._arrivals.body_came(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._arrivals.answered(self)
        super().on_response_complete()

    def _goes_on(self) -> None:
        self._arrivals.goes_on(self, self.loop.time())

    def _refuse_header(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(TOO_LARGE)
            self.transport.close()
