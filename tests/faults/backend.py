"""The app's backend: calls that go on to another node, with the same cmid, until one of them answers."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

from pushpull.client import AsyncServer
from pushpull.errors import PushpullError
from pushpull.model import Cid, Sent, Uid
from tests.e2e.service import API_KEY
from tests.faults.diary import Diary

T = TypeVar("T")

ATTEMPT_S = 3.0
PAUSE_S = 0.05


class Backend:
    def __init__(self, urls: Sequence[str]) -> None:
        # Each begins at a random node and goes on where one fails; used in turn, they ask most of them.
        self._servers = [AsyncServer(urls, API_KEY, retry_s=0.5) for _ in urls]
        self._turn = itertools.count(random.randrange(len(urls)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: Any) -> None:
        for server in self._servers:
            await server.close()

    async def call(self, what: Callable[[AsyncServer], Awaitable[T]], *, within_s: float = 60.0) -> T:
        """The answer of the first node that gives one; what is temporary is tried again. TimeoutError in the end."""
        async with asyncio.timeout(within_s):
            while True:
                server = self._servers[next(self._turn) % len(self._servers)]
                try:
                    async with asyncio.timeout(ATTEMPT_S):
                        return await what(server)
                except TimeoutError:
                    continue
                except PushpullError as error:
                    if not error.temporary:
                        raise
                    await asyncio.sleep(PAUSE_S)

    async def send(self, diary: Diary, cid: Cid, sender: Uid, cmid: str) -> Sent | None:
        """Send one message until it is answered, and note that; None: it was refused."""
        diary.tried(cid, sender, cmid)
        try:
            sent = await self.call(lambda server: server.send(cid, {"of": sender}, sender=sender, cmid=cmid))
        except PushpullError as error:
            diary.refused_with(cid, sender, cmid, error.code)
            return None
        diary.confirmed_at(sent, sender)
        return sent
