"""Sends of messages from devices: at a rate, or as many as are answered (or delivered) in time.

Every message says when it was sent, in its body for those who receive it and in its cmid for the one who sent it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from pushpull.bench import wire
from pushpull.bench.crowd import Crowd
from pushpull.bench.device import Device
from pushpull.bench.spread import now_ticks

TICK_S: Final = 0.001
BURST: Final = 256
"""Sends between two turns of the loop: what was answered meanwhile must be read."""

Route = tuple[Device, bytes]
"""Who sends to which conversation."""


def send_frame(cid: bytes, number: int, size: int) -> bytes:
    """A masked `send` with a body of `size` bytes."""
    now = now_ticks()
    return wire.masked(
        b'{"type":"send","cid":"%b","cmid":"%d-%d","body":%b}' % (cid, now, number, wire.body(now, size))
    )


class Sending:
    """One stretch of sending by one process. `seconds` bounds it, and `most` messages where that is less."""

    def __init__(self, crowd: Crowd, routes: Sequence[Route], *, size: int, seconds: float, most: int) -> None:
        self._crowd = crowd
        self._routes = routes
        self._size = size
        self._most = most
        self._end = time.monotonic() + seconds
        self.made = 0

    async def at_rate(self, per_s: float) -> None:
        """So many a second, by turns; a tick that comes late sends what it owes."""
        began = time.monotonic()
        while (now := time.monotonic()) < self._end and self.made < self._most:
            due = min(self._most, 1 + int((now - began) * per_s))
            while self.made < due:
                self._send(self.made)
            next_s = began + self.made / per_s - time.monotonic()
            await asyncio.sleep(max(next_s, 0.0))

    async def at_random(self, seed: int) -> None:
        """All `most` messages, each at a moment and on a route of its own, by chance: as people write."""
        chance = random.Random(seed)
        began = time.monotonic()
        moments = sorted(chance.uniform(began, self._end) for _ in range(self._most))
        for moment in moments:
            await asyncio.sleep(max(moment - time.monotonic(), 0.0))
            self._send(chance.randrange(len(self._routes)))

    async def while_answered(self, in_flight: int) -> None:
        """Each route has `in_flight` sends under way; the answer to one lets the next go."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        answered = 0

        def on_sent(number: int) -> None:
            nonlocal answered
            answered += 1
            if self.made < self._most and time.monotonic() < self._end:
                self._send(number % len(self._routes))
            elif answered == self.made and not done.done():
                done.set_result(None)

        self._crowd.on_sent = on_sent
        try:
            for number in range(min(self._most, in_flight * len(self._routes))):
                self._send(number)
                if number % BURST == BURST - 1:
                    await asyncio.sleep(0)
            async with asyncio.timeout_at(loop.time() + self._end - time.monotonic() + 30):
                await done
        finally:
            self._crowd.on_sent = lambda number: None

    async def while_delivered(self, receivers: int, in_flight: int) -> None:
        """At most `in_flight` messages are under way, each to `receivers` devices of this process."""
        before = self._crowd.items
        while time.monotonic() < self._end and self.made < self._most:
            room = in_flight - self.made + (self._crowd.items - before) // receivers
            for _ in range(min(room, self._most - self.made, BURST)):
                self._send(self.made)
            await asyncio.sleep(0 if room > BURST else TICK_S)

    def _send(self, route: int) -> None:
        device, cid = self._routes[route % len(self._routes)]
        # The route travels in the cmid: an answer says by it who may send the next.
        device.say(send_frame(cid, self.made * len(self._routes) + route % len(self._routes), self._size))
        self.made += 1
