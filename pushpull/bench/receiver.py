"""A receiver of offline notifications that takes all it gets at once, and counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import orjson

HOST: Final = "127.0.0.1"
TAKEN: Final = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n"


class Receiver:
    """`calls`, and how often each user was told; a call that came again (the same event id) tells nobody."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.told: Counter[str] = Counter()
        self._events: set[str] = set()
        self._called = asyncio.Event()

    async def has_told(self, users: int, *, within_s: float) -> bool:
        """Wait until so many users were told; whether they were in time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while len(self.told) < users:
                    self._called.clear()
                    await self._called.wait()
        return len(self.told) >= users

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the calls of one connection."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
                self._count(orjson.loads(await reader.readexactly(int(length)))["data"])
                writer.write(TAKEN)
        writer.close()

    def _count(self, data: dict[str, object]) -> None:
        self.calls += 1
        event, users = data["event"], data["users"]
        assert isinstance(event, str)
        assert isinstance(users, list)
        if event not in self._events:
            self._events.add(event)
            self.told.update(user["user"] for user in users)
        self._called.set()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver, for as long as the block lasts."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.take, HOST, 0)
    receiver.url = f"http://{HOST}:{server.sockets[0].getsockname()[1]}/"
    try:
        yield receiver
    finally:
        server.close()
