"""The WebSocket without ASGI in between: frames go from the socket to the session as a call, and back as one.

Theory of operation. uvicorn accepts the connection and reads the upgrade request; its `ws=` hook then makes a
DirectProtocol, gives it the transport and the request, and makes it the transport's protocol. DirectProtocol hands
all of that on to a picows protocol, whose parser is C, and one turn of the
loop later takes itself out of the way: from then on the transport talks to picows alone, and picows to the Listener.

picows' protocol constructor is not public: the version is pinned, and tests/e2e/test_direct.py holds what is leaned on.
The portable path is web.websocket; both give the node the same Connection and the same calls of the Peer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not public, see above

from pushpull.delivery.codes import BAD_FRAME, DRAINING, FRAME_TOO_LARGE, NOT_AUTHENTICATED, OVERLOADED
from pushpull.delivery.frames import SUBPROTOCOL
from pushpull.delivery.session import HELLO_BYTES, HELLO_BYTES_AUTHENTICATED
from pushpull.errors import BadRequest, PushpullError, TooLarge, Unauthenticated
from pushpull.model import Claims, Goodbye
from pushpull.node.peer import Peer
from pushpull.web.deflate import Framers, agreed, inflated
from pushpull.web.gate import RETRY_AFTER_S, Gate, speaks_ours
from pushpull.web.outlet import Framer, Outlet

HANDSHAKE_S: Final = 5.0
READ_BUFFER_BYTES: Final = 2048  # grows when a larger frame comes; most are acks of 60 bytes
EARLY_MAX: Final = 64  # frames that come while the upgrade's own token is being checked
PARTS_MAX: Final = 256  # fragments of one message: a hello of 1 MiB in pieces of 4 KiB

log = logging.getLogger(__name__)


class _Socket(logging.LoggerAdapter[logging.Logger]):
    """Where picows logs. An adapter, because it would make (and keep) a child of a plain logger for each connection."""

    def error(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """What a peer got wrong, said again for each read until the line is cut: a stranger could fill the log."""
        log.debug(msg, *args)


_log: Final = _Socket(logging.getLogger("pushpull.web.direct.socket"), {})
_log.logger.setLevel(logging.WARNING)


class Listener(Outlet):
    """One connection: what goes out (Outlet), and what picows says has come in."""

    __slots__ = ("_checking", "_deflated", "_early", "_gate", "_gone", "_parts", "_parts_bytes", "_peer", "_token")

    def __init__(self, gate: Gate, framer: Framer, request: WSUpgradeRequest, gone: Callable[[], None]) -> None:
        super().__init__(framer, gate.node.settings.limits.buffer_bytes)
        self._gate = gate
        self._token = gate.token(request.headers, request.path.decode("latin-1").partition("?")[2])
        self._gone = gone
        self._peer: Peer | None = None
        self._early: list[bytes] = []
        self._parts: list[bytes] = []  # of a fragmented message
        self._parts_bytes = 0
        self._deflated = False  # whether that message is compressed
        self._checking: asyncio.Task[None] | None = None

    # ------------------------------------------------------------------------------------------------ picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._connect(transport)
        # picows keeps both; what they said has been read.
        transport.request.headers.clear()
        transport.response.headers.clear()
        if self._token is None:
            self._open(None)
        else:
            self._checking = asyncio.create_task(self._check(self._token), name="upgrade token")

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind == WSMsgType.TEXT and frame.fin and not frame.rsv1 and not self._parts:
            self._received(frame.get_payload_as_bytes())
        elif frame.rsv1 and not (kind == WSMsgType.TEXT and self._framer.deflates):
            self.close(BAD_FRAME, "RSV1 without an agreement, or where it may not be")
        elif kind == WSMsgType.CLOSE:
            self._said_goodbye(transport, frame)
        elif kind in (WSMsgType.TEXT, WSMsgType.CONTINUATION):
            self._received_part(frame)
        elif kind == WSMsgType.PING:
            self._pong(transport, frame)
        elif kind == WSMsgType.BINARY:
            self.close(BAD_FRAME, "binary frames are not spoken here: one JSON object a text frame")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._disconnect()
        self._gone()
        if self._checking is not None:
            self._checking.cancel()
        if self._peer is not None:
            self._peer.lost()

    # ------------------------------------------------------------------------------------------------ inside

    async def _check(self, token: str) -> None:
        try:
            claims = await self._gate.authenticate_upgrade(token)
        except Unauthenticated as problem:
            self.close(NOT_AUTHENTICATED, problem.reason)
        except PushpullError as problem:
            self.close(OVERLOADED, problem.code)
        else:
            self._open(claims)

    def _open(self, claims: Claims | None) -> None:
        node = self._gate.node
        if self._closed:
            return
        self._peer = node.connect(self, self._gate.authenticate, claims=claims)
        if self._peer is None:
            draining = node.parts.draining
            self.close(DRAINING if draining else OVERLOADED, "draining" if draining else "too many connections")
            return
        early, self._early = self._early, []
        for text in early:
            self._peer.received(text)

    def _received(self, text: bytes) -> None:
        if self._closed:
            return
        if self._peer is not None:
            self._peer.received(text)
        elif len(self._early) < EARLY_MAX and sum(map(len, self._early)) + len(text) <= HELLO_BYTES_AUTHENTICATED:
            self._early.append(text)
        else:
            self.close(BAD_FRAME, f"over {EARLY_MAX} frames, or too large ones, before the token was checked")

    def _received_part(self, frame: WSFrame) -> None:
        """A compressed message, or a piece of one. Fragments are rare: nobody needs them for one JSON object."""
        if self._closed:
            return
        if (frame.msg_type == WSMsgType.CONTINUATION) != bool(self._parts):
            self.close(BAD_FRAME, "a fragment of no message, or a message amid the fragments of another")
            return
        if not self._parts:
            self._deflated = bool(frame.rsv1)
        part = frame.get_payload_as_bytes()
        self._parts.append(part)
        self._parts_bytes += len(part)
        if self._parts_bytes > HELLO_BYTES_AUTHENTICATED:
            self.close(FRAME_TOO_LARGE, f"a message of over {HELLO_BYTES_AUTHENTICATED} bytes")
        elif len(self._parts) > PARTS_MAX:
            self.close(BAD_FRAME, f"a message in over {PARTS_MAX} fragments")
        elif frame.fin:
            message, self._parts, self._parts_bytes = b"".join(self._parts), [], 0
            if self._deflated:
                self._received_deflated(message)
            else:
                self._received(message)

    def _received_deflated(self, payload: bytes) -> None:
        hello_bytes = HELLO_BYTES if self._token is None else HELLO_BYTES_AUTHENTICATED
        try:
            text = inflated(payload, max(hello_bytes, self._gate.node.settings.limits.frame_bytes))
        except TooLarge as problem:
            self.close(FRAME_TOO_LARGE, problem.message)
        except BadRequest as problem:
            self.close(BAD_FRAME, problem.message)
        else:
            self._received(text)

    def _pong(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.buffered > self._limit:
            self.abort()
        elif not self._closed:
            transport.send_pong(frame.get_payload_as_bytes())

    def _said_goodbye(self, transport: WSTransport, frame: WSFrame) -> None:
        # Not the words it gives as the reason: they are kept for support, and may be anything.
        with contextlib.suppress(ValueError):
            code = frame.get_close_code()
            self.goodbye = self.goodbye or Goodbye(code.value, "", "device")
            if not transport.is_close_frame_sent:
                transport.send_close(code)
        self._disconnect()
        transport.disconnect()


class DirectProtocol(asyncio.Protocol):
    """What uvicorn makes of its `ws=` hook, for one connection."""

    def __init__(self, gate: Gate, framers: Framers, path: str, server_state: Any) -> None:
        self._gate = gate
        self._framers = framers
        self._path = path
        self._connections = server_state.connections
        self._listener: Listener | None = None
        self._transport: asyncio.Transport | None = None
        self._socket = WSProtocol(
            None,  # host and port, path: a client's
            None,
            False,  # is_client_side
            self._listen,
            _log,
            True,  # disconnect_on_exception
            HANDSHAKE_S,
            False,  # enable_auto_ping: the session pings by itself
            20.0,
            20.0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # enable_auto_pong: it would write without asking how much waits
            HELLO_BYTES_AUTHENTICATED + gate.node.settings.limits.frame_bytes,
            None,  # extra_headers: a client's
            READ_BUFFER_BYTES,
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "set_protocol")
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        self._connections.add(self)
        self._socket.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """The upgrade request, as uvicorn rebuilt it; and whatever comes until the transport is picows' own."""
        view = memoryview(data)
        while view:
            room = self._socket.get_buffer(len(view))
            size = min(len(room), len(view))
            room[:size] = view[:size]
            self._socket.buffer_updated(size)
            view = view[size:]
        # uvicorn sets this object as the protocol when we return: take over right after that.
        asyncio.get_running_loop().call_soon(self._hand_over)

    def connection_lost(self, problem: Exception | None) -> None:
        self._forget()
        self._socket.connection_lost(problem)

    def pause_writing(self) -> None:
        """Until the transport is picows' own, which tells the listener by itself."""
        if self._listener is not None:
            self._listener.pause_writing()

    def resume_writing(self) -> None:
        if self._listener is not None:
            self._listener.resume_writing()

    def eof_received(self) -> bool | None:
        return None

    def shutdown(self) -> None:
        """uvicorn stops. The node has drained by then; who is still here is told so."""
        if self._listener is not None:
            self._listener.close(DRAINING, "the node is going away")

    def _hand_over(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.set_protocol(self._socket)

    def _listen(self, request: WSUpgradeRequest) -> Any:
        """picows asks who listens: a Listener with the 101 answer, or an answer that refuses."""
        if request.path.decode("latin-1").partition("?")[0] != self._path:
            return _refusal(404, b"no WebSocket here")
        if not self._gate.allows_origin(request.headers):
            return _refusal(403, b"this origin may not connect")
        if not self._gate.admits(time.monotonic()):
            return _refusal(503, b"draining, or too many connect at the moment", {"Retry-After": str(RETRY_AFTER_S)})
        framer, chosen = self._framers.plain, {}
        if speaks_ours(request.headers.get("sec-websocket-protocol", "")):
            chosen["Sec-WebSocket-Protocol"] = SUBPROTOCOL
        if self._framers.deflating is not None:
            extensions = agreed(request.headers.getall("sec-websocket-extensions", ()))
            if extensions is not None:
                framer, chosen["Sec-WebSocket-Extensions"] = self._framers.deflating, extensions
        self._listener = Listener(self._gate, framer, request, self._forget)
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(chosen), self._listener)

    def _forget(self) -> None:
        self._connections.discard(self)


def _refusal(status: int, body: bytes, headers: dict[str, str] | None = None) -> WSUpgradeResponseWithListener:
    return WSUpgradeResponseWithListener(WSUpgradeResponse.create_error_response(status, body, headers), None)
