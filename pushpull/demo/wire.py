"""One WebSocket of one device, as lean as it gets: the websockets library's own protocol, fed by a transport.

The client's `connect()` keeps two tasks and several queues for each connection. With thousands of devices in one
process that machinery would be what is measured, not the service: 500 devices cost 137 µs of processor time a delivery
that way and 83 µs this way, acks included. Left out is only what lies between tasks: frames are parsed and applied
where their bytes arrive.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from pushpull.client import frames
from pushpull.client.addresses import websocket_url
from pushpull.client.closed import LinkClosed
from pushpull.client.link import SUBPROTOCOL

LOST: Final = 1006
_TEXTS: Final = frozenset({Opcode.TEXT, Opcode.CONT})


class Wire(asyncio.Protocol):
    """Calls `on_open` after the upgrade, `on_frame` with each text frame, `on_closed(code, reason)` once at the end."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        on_open: Callable[[], None],
        on_frame: Callable[[bytes], None],
        on_closed: Callable[[int, str], None],
    ) -> None:
        self._protocol = ClientProtocol(parse_uri(url), subprotocols=[SUBPROTOCOL], max_size=frames.MAX_FRAME_BYTES)
        self._token = token
        self._transport: asyncio.Transport | None = None
        self._on_open, self._on_frame, self._on_closed = on_open, on_frame, on_closed
        self._parts: list[bytes] = []  # of a message that came in fragments

    def send(self, frame: dict[str, Any]) -> None:
        """Send one frame; nothing happens once the connection is closing."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_text(frames.encode(frame).encode())
            self._flush()

    def close(self) -> None:
        """Close in order."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()

    def abort(self) -> None:
        """Cut the line without a word, as a tunnel does to a train."""
        if self._transport is not None:
            self._transport.abort()

    # ------------------------------------------------------------------------------------------------ asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        request = self._protocol.connect()
        request.headers["Authorization"] = f"Bearer {self._token}"
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._take(event)
            elif isinstance(event, Response) and self._protocol.state is State.OPEN:
                self._on_open()
        self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        refused = self._protocol.handshake_exc
        code = self._protocol.close_code
        reason = str(refused) if refused is not None else self._protocol.close_reason or ""
        self._on_closed(LOST if code is None else code, reason[:100])

    # ------------------------------------------------------------------------------------------------ inside

    def _take(self, frame: Frame) -> None:
        if frame.opcode not in _TEXTS:
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            text, self._parts = b"".join(self._parts), []
            self._on_frame(text)

    def _flush(self) -> None:
        assert self._transport is not None
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:  # how the protocol says: end of what is sent
                self._transport.close()


class Address:
    """Where the service is; dials wires to it."""

    def __init__(self, url: str) -> None:
        """`url`: http(s) or ws(s). Raises Invalid."""
        self.url = websocket_url(url)
        parts = urlsplit(self.url)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "wss"
        self._port = parts.port or (443 if self._secure else 80)
        self._context = ssl.create_default_context() if self._secure else None

    async def dial(self, make: Callable[[str], Wire], *, within_s: float) -> None:
        """Connect the wire that `make` makes for the URL, and begin its upgrade. Raises LinkClosed."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within_s):
                await loop.create_connection(lambda: make(self.url), self._host, self._port, ssl=self._context)
        except (OSError, TimeoutError) as error:
            raise LinkClosed(LOST, f"{type(error).__name__}: {error}"[:100]) from error
