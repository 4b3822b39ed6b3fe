"""One WebSocket connection: frames over it, paced and watched. Every way it can end becomes LinkClosed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from pushpull.client import frames
from pushpull.client.addresses import is_loopback
from pushpull.client.closed import LinkClosed
from pushpull.client.inflating import InflatingFactory
from pushpull.client.pace import Pace
from pushpull.errors import BadRequest, Invalid, RateLimited

SUBPROTOCOL: Final = Subprotocol("pushpull.v1")
OPEN_S: Final = 10.0
"""For the upgrade, and again for `welcome`."""
SILENCE: Final = 2.5
"""Heartbeats without any frame until the connection counts as dead; from the contract."""

# At DEBUG the library writes each header and frame into the log of whoever embeds us: the token among them.
_log: Final = logging.getLogger("pushpull.client.socket")
_log.setLevel(logging.WARNING)


class Link:
    """An open connection. Not shared: one task receives, one sends."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._pace = Pace()
        self._silence_s = OPEN_S
        self.heard_at = time.monotonic()  # the last frame
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, url: str, token: str, *, open_s: float = OPEN_S) -> Link:
        """Upgrade, authenticated, within `open_s`. Raises LinkClosed; Invalid for a URL that cannot be one."""
        async with _closed_for_any_reason():
            socket = await connect(
                url,
                subprotocols=[SUBPROTOCOL],
                additional_headers={"Authorization": f"Bearer {token}"},
                compression=None,  # the library's: it would compress what we say, too
                extensions=[InflatingFactory()],
                ping_interval=None,  # the contract has its own ping
                max_size=frames.MAX_FRAME_BYTES,
                open_timeout=open_s,
                close_timeout=1,
                proxy=None if is_loopback(url) else True,
                logger=_log,
            )
            return cls(socket)

    async def greet(self, hello: dict[str, Any]) -> frames.Welcome:
        """Say hello and wait for the answer."""
        await self.send(hello)
        while True:
            frame = await self.receive()
            if isinstance(frame, frames.Welcome):
                self._silence_s = SILENCE * frame.heartbeat_s
                rate = frame.limits.get("frames_per_s")
                self._pace = Pace(float(rate)) if isinstance(rate, int | float) and rate > 0 else Pace()
                return frame

    async def receive(self) -> frames.Incoming | None:
        """The next frame; None for one of an unknown type. Silence for too long counts as a close."""
        async with _closed_for_any_reason():
            async with asyncio.timeout(self._silence_s):
                text = await self._socket.recv()
            self.heard_at = time.monotonic()
            frame = frames.parse(text)
        if isinstance(frame, frames.Refusal) and frame.code == RateLimited.code and frame.cmid is None:
            self._pace.slow_down(asyncio.get_running_loop().time())  # a refused send slows its own conversation down
        return frame

    async def send(self, frame: dict[str, Any]) -> None:
        """Send one frame, not faster than the service allows."""
        wait_s = self._pace.wait_s(asyncio.get_running_loop().time())
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        async with _closed_for_any_reason():
            await self._socket.send(frames.encode(frame))

    def abort(self) -> None:
        """End at once, without a goodbye that nobody would answer; whoever receives sees LinkClosed."""
        self._socket.transport.abort()

    def leave(self) -> None:
        """Begin to close; whoever receives sees LinkClosed."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._socket.close())

    async def close(self) -> None:
        """Close, and wait (at most about a second) until it is."""
        self.leave()
        assert self._closing is not None
        await asyncio.gather(self._closing, return_exceptions=True)


@asynccontextmanager
async def _closed_for_any_reason() -> AsyncIterator[None]:
    try:
        yield
    except ConnectionClosed as error:
        closed = error.rcvd or error.sent
        raise LinkClosed(closed.code if closed else 1006, closed.reason if closed else "connection lost") from error
    except InvalidStatus as error:
        raise LinkClosed(_code_of_status(error.response.status_code), f"http {error.response.status_code}") from error
    except InvalidURI as error:
        raise Invalid("the url is not one of a WebSocket") from error
    except (TimeoutError, OSError, InvalidHandshake, EOFError) as error:
        raise LinkClosed(1006, f"{type(error).__name__}: {error}"[:200]) from error
    except BadRequest as error:
        raise LinkClosed(1002, error.message[:100]) from error


def _code_of_status(status: int) -> int:
    """The close code that says the same: come back later, with another token, or not at all."""
    if status == 401:
        return 4401
    if status == 403:
        return 4403
    return 4400 if 400 <= status < 500 and status not in (408, 425, 429) else 1013
