"""The WebSocket over plain ASGI: the portable path, for any server that speaks ASGI.

The node gets a Connection (write, buffered, close) and gives a Peer that takes each text frame. Nothing of the
protocol is decided here but what the upgrade itself shows: origin, subprotocol, a token in the headers.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.responses import Response
from starlette.websockets import WebSocket

from pushpull.delivery.codes import BAD_FRAME, DRAINING, NOT_AUTHENTICATED, OVERLOADED
from pushpull.delivery.frames import SUBPROTOCOL
from pushpull.errors import PushpullError, Unauthenticated
from pushpull.model import LINE_LOST, Claims, Goodbye
from pushpull.web.gate import BUFFERS_MAX, CUT_OFF, GOODBYE_S, RETRY_AFTER_S, Gate, short_reason, speaks_ours

NOTHING_SAID: Final = 1005  # a close frame without a code (RFC 6455, 7.1.5); uvicorn says so of lost lines, too


class AsgiConnection:
    """Frames wait in order for one writer task, which hands them to the server one by one."""

    def __init__(self, websocket: WebSocket, *, buffer_bytes: int) -> None:
        self._websocket = websocket
        self._limit = BUFFERS_MAX * buffer_bytes
        self._waiting: deque[bytes] = deque()
        self._goodbye: tuple[int, str] | None = None
        self._wake = asyncio.Event()
        self._moved_at = 0.0
        self.aborted = asyncio.Event()
        self.buffered = 0
        self.spoke = False
        self.goodbye: Goodbye | None = None

    def write(self, data: bytes) -> None:
        if self._goodbye is not None:
            return
        if self.buffered > self._limit:
            self.abort()
            return
        if not self._waiting:
            self._moved_at = time.monotonic()
        self._waiting.append(data)
        self.buffered += len(data)
        self.spoke = True
        self._wake.set()

    def offer(self, data: bytes, most: int) -> bool:
        if self.buffered > most:
            return False
        self.write(data)
        return True

    @staticmethod
    def offer_all(connections: Sequence[AsgiConnection], data: bytes, most: int) -> list[bool]:
        return [each.offer(data, most) for each in connections]

    def write_soon(self, data: bytes) -> None:
        self.write(data)  # what waits goes out in a task of its own anyway

    def share(self, data: bytes) -> None:
        self.write(data)

    def stalled_s(self, now: float) -> float:
        return now - self._moved_at if self.buffered else 0.0

    def close(self, code: int, reason: str) -> None:
        if self._goodbye is None:
            self._goodbye = (code, short_reason(reason))
            self.goodbye = self.goodbye or Goodbye(*self._goodbye, "service")
            self._wake.set()

    def abort(self) -> None:
        self._goodbye = self._goodbye or (OVERLOADED, "")
        self.goodbye = self.goodbye or CUT_OFF
        self.aborted.set()

    async def write_out(self) -> None:
        """Write until the goodbye is said."""
        send = self._websocket.send
        while True:
            while self._waiting:
                data = self._waiting[0]
                await send({"type": "websocket.send", "text": data.decode()})
                self._waiting.popleft()
                self.buffered -= len(data)
                self._moved_at = time.monotonic()
            if self._goodbye is not None:
                code, reason = self._goodbye
                await self._websocket.close(code, reason)
                return
            self._wake.clear()
            await self._wake.wait()


async def websocket_endpoint(websocket: WebSocket) -> None:
    """`GET /v1/ws`."""
    gate: Gate = websocket.app.state.gate
    if not gate.allows_origin(websocket.headers):
        await websocket.close()  # before accept: the server answers 403
        return
    if not gate.admits(time.monotonic()):
        await websocket.send_denial_response(Response(status_code=503, headers={"Retry-After": str(RETRY_AFTER_S)}))
        return
    offered = websocket.headers.get("sec-websocket-protocol", "")
    await websocket.accept(SUBPROTOCOL if speaks_ours(offered) else None)
    token = gate.token(websocket.headers, websocket.url.query)
    try:
        claims = None if token is None else await gate.authenticate_upgrade(token)
    except Unauthenticated as problem:
        await websocket.close(NOT_AUTHENTICATED, problem.reason)
        return
    except PushpullError as problem:
        await websocket.close(OVERLOADED, problem.code)
        return
    await _serve(websocket, gate, claims)


async def _serve(websocket: WebSocket, gate: Gate, claims: Claims | None) -> None:
    node = gate.node
    connection = AsgiConnection(websocket, buffer_bytes=node.settings.limits.buffer_bytes)
    peer = node.connect(connection, gate.authenticate, claims=claims)
    if peer is None:
        draining = node.parts.draining
        await websocket.close(DRAINING if draining else OVERLOADED, "draining" if draining else "too many connections")
        return
    tasks: list[asyncio.Task[Any]] = [
        asyncio.create_task(_read_in(websocket, peer.received, connection)),
        asyncio.create_task(connection.write_out()),
        asyncio.create_task(connection.aborted.wait()),
    ]
    reader, writer, aborted = tasks
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if writer.done() and not aborted.done():
            await asyncio.wait([reader], timeout=GOODBYE_S)
    finally:
        peer.lost()
        for task in tasks:
            task.cancel()
        with contextlib.suppress(Exception):
            await asyncio.gather(*tasks, return_exceptions=True)


async def _read_in(websocket: WebSocket, received: Callable[[str], None], connection: AsgiConnection) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            code = message.get("code", NOTHING_SAID)
            if code not in (NOTHING_SAID, LINE_LOST.code):
                connection.goodbye = connection.goodbye or Goodbye(code, "", "device")
            return
        text = message.get("text")
        if text is None:
            connection.close(BAD_FRAME, "binary frames are not spoken here: one JSON object a text frame")
            return
        received(text)
