"""One device that sends to several conversations, and another that hears them: how long each message takes.

What a shard that is away costs the conversations of the others shows here: all of them go over the same two
connections and through the same nodes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence

from pushpull.client import Chat, Message, connect
from pushpull.model import Cid
from tests.e2e.service import token_of
from tests.faults.backend import Backend

BEAT_S = 0.1
SENDER, HEARER = "pulse-from", "pulse-to"


class Pulse:
    """Sends to each of `cids`, BEAT_S after the one before was answered. Both devices are members of all."""

    def __init__(self, urls: Sequence[str], cids: Sequence[Cid]) -> None:
        self.urls = urls
        self._cids = cids
        self._sent: dict[Cid, list[tuple[float, float]]] = defaultdict(list)  # when sent, when answered
        self._heard: dict[Cid, list[tuple[float, float]]] = defaultdict(list)  # when sent, when heard

    @contextlib.asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        async with Backend(self.urls) as backend:
            for cid in self._cids:
                await backend.call(lambda server, cid=cid: server.put_conversation(cid, members=[SENDER, HEARER]))
        async with self._chat(SENDER, 0) as sender, self._chat(HEARER, 1) as hearer:
            tasks = [asyncio.create_task(self._beat(sender, cid)) for cid in self._cids]
            tasks.append(asyncio.create_task(self._hear(hearer)))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def worst_s(self, cids: Iterable[Cid], since: float) -> tuple[float, float]:
        """The longest (s) from a send to its answer, and to its being heard, of what was sent to `cids` after `since`
        or was under way then."""
        return _longest(self._sent, cids, since), _longest(self._heard, cids, since)

    def beats(self, cids: Iterable[Cid], since: float) -> int:
        """How many were heard in the least served of `cids`, of those sent after `since`."""
        return min(sum(begin > since for begin, _ in self._heard[cid]) for cid in cids)

    def again_s(self, cids: Iterable[Cid], since: float) -> float:
        """The time (s) from `since` until a send was answered in each of `cids` that had been sent after `since`, or
        was under way then."""
        return max(min(end for _, end in self._sent[cid] if end > since) - since for cid in cids)

    def _chat(self, uid: str, first: int) -> Chat:
        urls = [*self.urls[first:], *self.urls[:first]]
        return connect(urls, token=token_of(uid), device="phone", open_s=60)

    async def _beat(self, chat: Chat, cid: Cid) -> None:
        while True:
            now = time.monotonic()
            await chat.send(cid, now)
            self._sent[cid].append((now, time.monotonic()))
            await asyncio.sleep(BEAT_S)

    async def _hear(self, chat: Chat) -> None:
        async for event in chat.events():
            if isinstance(event, Message):
                self._heard[Cid(event.cid)].append((event.body, time.monotonic()))


def _longest(pairs: dict[Cid, list[tuple[float, float]]], cids: Iterable[Cid], since: float) -> float:
    return max(end - begin for cid in cids for begin, end in pairs[cid] if end > since)
