"""A line that can be made bad: a TCP proxy that cuts, delays, half-closes, throttles, swallows and loses answers.

Theory of operation. A Proxy listens on a port of its own and dials its target, a port or a unix socket, for each
connection. Each connection is a Line with two ways, `up` (towards the target) and `down`. What a way does to the bytes
on it is a Way, shared by all lines of the proxy, so that a change holds at once for lines that are open already. A way
that is blocked reads nothing, so that the sender's buffers fill up, as on a network that is gone without a word.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

CHUNK = 65_536
DIAL_S = 2.0

Filter = Callable[[bytes], bytes]
"""Takes the bytes that came and gives those to pass on; keeps what it cannot judge yet."""


@dataclass(eq=False)
class Way:
    """What happens to bytes in one direction."""

    delay_s: float = 0.0  # each chunk, up to so long
    bytes_per_s: float = 0.0  # 0: as fast as they come
    lose: Callable[[bytes], bool] | None = None  # a chunk it is true for is dropped, and its line cut
    doom: Callable[[bytes], bool] | None = None  # a chunk it is true for passes; the answer is dropped, its line cut
    filtering: Callable[[], Filter] | None = None  # makes a filter for each line
    lost: int = 0  # chunks dropped so far
    _open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._open.set()

    def block(self) -> None:
        """Nothing passes, nothing is said."""
        self._open.clear()

    def heal(self) -> None:
        """Be a good line again."""
        self.delay_s = self.bytes_per_s = 0.0
        self.lose = self.doom = self.filtering = None
        self._open.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line) -> bool:
        """Pass on until the end of the stream; False: an answer was lost, the line is to be cut."""
        made: Callable[[], Filter] | None = None
        passing: Filter = bytes
        while True:
            await self._open.wait()
            chunk = await reader.read(self._at_most())
            if not chunk:
                return True
            await self._open.wait()  # blocked while it waited
            if line.doomed or (self.lose is not None and self.lose(chunk)):
                self.lost += 1
                return False
            if made is not self.filtering:
                made, passing = self.filtering, (self.filtering or (lambda: bytes))()
            await self._wait_for(len(chunk))
            line.doomed = self.doom is not None and self.doom(chunk)
            writer.write(passing(chunk))
            await writer.drain()

    def _at_most(self) -> int:
        return max(1, min(CHUNK, int(self.bytes_per_s / 8))) if self.bytes_per_s else CHUNK

    async def _wait_for(self, size: int) -> None:
        wait_s = random.uniform(self.delay_s / 2, self.delay_s) + (size / self.bytes_per_s if self.bytes_per_s else 0)
        if wait_s > 0:
            await asyncio.sleep(wait_s)


@dataclass(eq=False)
class Line:
    """One connection through the proxy."""

    client: asyncio.StreamWriter
    target: asyncio.StreamWriter
    doomed: bool = False  # the next chunk is lost, whichever way it goes

    def cut(self) -> None:
        """Both ends see the connection end at once, with whatever was on its way lost."""
        for writer in (self.client, self.target):
            writer.transport.abort()

    def half_close(self, *, towards_client: bool) -> None:
        """One end is told that nothing more comes; it may still talk."""
        writer = self.client if towards_client else self.target
        if not writer.transport.is_closing():
            with contextlib.suppress(OSError):  # the other end is gone, and nobody has told us yet
                writer.write_eof()


class Proxy:
    """`target`: host and port, or the path of a unix socket. Listens on `port` after `start`."""

    def __init__(self, target: tuple[str, int] | str) -> None:
        self.target = target
        self.up = Way()
        self.down = Way()
        self.lines: set[Line] = set()
        self.refusing = False  # new connections end at once
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.heal()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End every line at once."""
        for line in self.lines:
            line.cut()

    def half_close(self, *, towards_client: bool) -> None:
        for line in self.lines:
            line.half_close(towards_client=towards_client)

    def heal(self) -> None:
        """A good line from here on; lines that were harmed stay as they are."""
        self.refusing = False
        self.up.heal()
        self.down.heal()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        dialled = None if self.refusing else await self._dial()
        if dialled is None:
            writer.transport.abort()
            return
        theirs, target = dialled
        async with self._line(writer, target) as line:
            ways = [self.up.carry(reader, target, line), self.down.carry(theirs, writer, line)]
            await _until_both_end(line, [asyncio.ensure_future(way) for way in ways])

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        try:
            async with asyncio.timeout(DIAL_S):
                if isinstance(self.target, str):
                    return await asyncio.open_unix_connection(self.target, limit=CHUNK)
                return await asyncio.open_connection(*self.target, limit=CHUNK)
        except (OSError, TimeoutError):
            return None

    @contextlib.asynccontextmanager
    async def _line(self, client: asyncio.StreamWriter, target: asyncio.StreamWriter) -> AsyncIterator[Line]:
        line = Line(client, target)
        self.lines.add(line)
        try:
            yield line
        finally:
            self.lines.discard(line)
            line.cut()


async def _until_both_end(line: Line, ways: list[asyncio.Task[bool]]) -> None:
    """A way that ends half-closes the other end; a way that fails, or loses an answer, cuts the line."""
    try:
        pending = set(ways)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if any(way.exception() is not None or not way.result() for way in done):
                return
            for way in done:
                line.half_close(towards_client=way is ways[1])
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
