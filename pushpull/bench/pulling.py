"""Pulls of pages, each device one at a time, as the contract has it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence

from pushpull.bench import wire
from pushpull.bench.crowd import Crowd, Seen
from pushpull.bench.device import Device
from pushpull.bench.spread import Spread, now_ticks


class Pulling:
    """Devices that pull pages of `limit` messages of one conversation; the next when one has come."""

    def __init__(self, crowd: Crowd, devices: Sequence[Device], cid: bytes, *, limit: int) -> None:
        self._crowd = crowd
        self._devices = devices
        self._cid = cid
        self._limit = limit
        self.pages = 0
        self.short = 0  # pages that held another number of messages
        self.times = Spread()

    async def for_a_while(self, starts: Sequence[int], *, seconds: float, most: int, seed: int) -> None:
        """Pages above one of `starts`, chosen at random, until the time is over or `most` were asked for."""
        choice = random.Random(seed)
        end = time.monotonic() + seconds
        asked = 0
        done = asyncio.get_running_loop().create_future()

        def ask(device: Device) -> None:
            nonlocal asked
            asked += 1
            self._pull(device, choice.choice(starts), lambda: on_page(device))

        def on_page(device: Device) -> None:
            if asked < most and time.monotonic() < end:
                ask(device)
            elif self.pages == asked and not done.done():
                done.set_result(None)

        await self._until(done, self._devices[:most], ask, within_s=seconds + 30)

    async def all_at_once(self, after: int) -> None:
        """Every device asks for the same page."""
        done = asyncio.get_running_loop().create_future()

        def on_page() -> None:
            if self.pages == len(self._devices) and not done.done():
                done.set_result(None)

        await self._until(done, self._devices, lambda device: self._pull(device, after, on_page), within_s=30)

    async def _until(
        self, done: asyncio.Future[None], devices: Sequence[Device], ask: Callable[[Device], None], *, within_s: float
    ) -> None:
        try:
            for device in devices:
                ask(device)
            async with asyncio.timeout(within_s):
                await done
        finally:
            for device in self._devices:
                device.on_page = None

    def _pull(self, device: Device, after: int, then: Callable[[], None]) -> None:
        asked_at = now_ticks()

        def take(seen: Seen) -> None:
            if seen.after != after:
                return  # not the answer: something that was pushed meanwhile
            self.times.add(now_ticks() - asked_at)
            self.pages += 1
            self.short += seen.upto - seen.after != self._limit
            then()

        device.on_page = take
        device.say(wire.masked(b'{"type":"pull","cid":"%b","after":%d,"limit":%d}' % (self._cid, after, self._limit)))
