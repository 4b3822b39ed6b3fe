"""The sending half of a chat: callers wait here until the service has their message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pushpull.client.events import Unsent
from pushpull.client.expired import ReadHistory, look_up
from pushpull.client.outbox import Outbox, Outgoing
from pushpull.errors import PushpullError
from pushpull.model import Sent


class Sender:
    """`wake` makes the connection look into the outbox; `on_unsent` hears of what was lost after it had been stored."""

    def __init__(self, outbox: Outbox, *, wake: Callable[[], None], on_unsent: Callable[[Unsent], None]) -> None:
        self._outbox = outbox
        self._wake = wake
        self._on_unsent = on_unsent
        self._room = asyncio.Event()  # set while the outbox takes more
        self._room.set()
        self._ended: PushpullError | None = None
        self._lookups: set[asyncio.Task[None]] = set()

    async def send(self, outgoing: Outgoing) -> Sent:
        """Wait for room, then for the service. Raises the service's refusal, or what the chat ended with."""
        while self._ended is None and self._outbox.full:
            self._room.clear()
            await self._room.wait()
        if self._ended is not None:
            raise self._ended
        done = asyncio.Event()

        def finish(_: Outgoing) -> None:
            done.set()
            self._room.set()

        outgoing.on_done = finish
        self._outbox.add(outgoing)
        self._wake()
        try:
            # Once more where a failover took the message away again before its sender came to see that it was stored.
            while outgoing.result is None and outgoing.error is None:
                done.clear()
                await done.wait()
        except asyncio.CancelledError:
            if self._outbox.cancel(outgoing):
                self._room.set()
            raise
        outgoing.on_done = self._on_done_again
        if outgoing.error is not None:
            raise outgoing.error
        assert outgoing.result is not None
        return outgoing.result

    def look_up(self, expired: list[Outgoing], *, user: str, history: ReadHistory) -> None:
        """Find out what became of sends that were refused as too old."""
        for outgoing in expired:
            task = asyncio.create_task(look_up(outgoing, self._outbox, user=user, history=history))
            self._lookups.add(task)
            task.add_done_callback(self._lookups.discard)
            task.add_done_callback(lambda _: self._wake())

    def end(self, error: PushpullError) -> None:
        """The chat is over: whatever waits fails with `error`."""
        self._ended = error
        self._outbox.abandon(error)
        self._room.set()

    async def close(self) -> None:
        """Stop looking things up."""
        for task in self._lookups:
            task.cancel()
        await asyncio.gather(*self._lookups, return_exceptions=True)

    def _on_done_again(self, outgoing: Outgoing) -> None:
        self._room.set()
        if outgoing.error is not None:
            self._on_unsent(Unsent(outgoing.cid, outgoing.cmid, outgoing.error))
