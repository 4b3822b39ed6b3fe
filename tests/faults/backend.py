"""The app's backend: calls that go on to another node, with the same cmid, until one of them answers."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

from httpx2 import Response, TransportError

from pushpull.client import AsyncServer
from pushpull.client.backend import Unreachable
from pushpull.client.calls import Call
from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Cid, Sent, Uid
from tests.e2e.service import API_KEY
from tests.faults.diary import Diary

T = TypeVar("T")

ATTEMPT_S = 3.0
PAUSE_S = 0.05


class _Server(AsyncServer):
    """Counts the tries of which nobody knows whether, or when, they are carried out."""

    unsure = 0

    def _unreachable(self, url: str, error: TransportError) -> Unreachable:
        self.unsure += 1
        return super()._unreachable(url, error)

    def _outcome(self, call: Call[T], url: str, response: Response) -> T:
        try:
            return super()._outcome(call, url, response)
        except StoreUnavailable:
            self.unsure += 1
            raise


class Backend:
    def __init__(self, urls: Sequence[str]) -> None:
        # Each begins at a random node and goes on where one fails; used in turn, they ask most of them.
        self._servers = [_Server(urls, API_KEY, retry_s=0.5) for _ in urls]
        self._given_up = 0
        self._turn = itertools.count(random.randrange(len(urls)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: Any) -> None:
        for server in self._servers:
            await server.close()

    @property
    def unsure(self) -> int:
        """Tries that were given up, lost their connection, or were answered by a node without its store."""
        return self._given_up + sum(server.unsure for server in self._servers)

    async def call(self, what: Callable[[AsyncServer], Awaitable[T]], *, within_s: float = 60.0) -> T:
        """The answer of the first node that gives one; what is temporary is tried again. TimeoutError in the end."""
        async with asyncio.timeout(within_s):
            while True:
                server = self._servers[next(self._turn) % len(self._servers)]
                try:
                    async with asyncio.timeout(ATTEMPT_S):
                        return await what(server)
                except TimeoutError:
                    self._given_up += 1
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
