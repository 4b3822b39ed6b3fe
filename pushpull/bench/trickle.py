"""A device's line that is read slowly: a little at a time, over a connection whose buffers in the kernel are small.

Over loopback the kernel would hide a slow reader for minutes: what is written to one that reads nothing, megabytes of
it, counts as sent. With a small window, and segments as large as a network's, it takes some 80 KB.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final, Protocol, cast

WINDOW_BYTES: Final = 4_096
"""SO_RCVBUF; the kernel doubles it."""
SEGMENT_BYTES: Final = 1_400
"""As over a network. The sender's buffer grows with it: to 4 MB at loopback's own 64 KB."""
SIP_BYTES: Final = 1_024
"""What is read at a time while the line is slow."""
GULP: Final = memoryview(bytearray(65_536))
"""Where all lines of a process read into: what came is handed on before anything else is read."""


class Receiver(Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None: ...

    def data_received(self, data: bytes) -> None: ...

    def connection_lost(self, error: Exception | None) -> None: ...


class Trickle(asyncio.BufferedProtocol):
    """Reads for `receiver`, as fast as it comes until it is told otherwise."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._bytes_per_s = 0.0  # 0: as fast as it comes
        self._transport: asyncio.Transport | None = None
        self._resting: asyncio.TimerHandle | None = None

    async def dial(self, host: str, port: int) -> None:
        """Raises OSError."""
        loop = asyncio.get_running_loop()
        line = socket.socket()
        try:
            line.setblocking(False)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW_BYTES)
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT_BYTES)
            await loop.sock_connect(line, (host, port))
            await loop.create_connection(lambda: self, sock=line)
        except BaseException:
            line.close()
            raise

    def read_at(self, bytes_per_s: float) -> None:
        """From now on; 0: as fast as it comes."""
        self._bytes_per_s = bytes_per_s
        if not bytes_per_s and self._resting is not None:
            self._resting.cancel()
            self._go_on()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._receiver.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return GULP[:SIP_BYTES] if self._bytes_per_s else GULP

    def buffer_updated(self, nbytes: int) -> None:
        self._receiver.data_received(bytes(GULP[:nbytes]))
        if self._bytes_per_s and self._transport is not None:
            self._transport.pause_reading()
            rest_s = nbytes / self._bytes_per_s
            self._resting = asyncio.get_running_loop().call_later(rest_s, self._go_on)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._resting is not None:
            self._resting.cancel()
        self._receiver.connection_lost(error)

    def _go_on(self) -> None:
        self._resting = None
        if self._transport is not None:
            self._transport.resume_reading()
