"""The process with the devices: `python -m pushpull.bench.load`, asked by lines of JSON (see `child`).

Thousands of connections in one process, with no task and no queue for any of them: what it costs is to be small
beside what the service costs, and it says itself how much that is.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any, Final

import msgspec
import uvloop

from pushpull.bench import open_files
from pushpull.bench.child import answer_requests
from pushpull.bench.crowd import Acks, Crowd
from pushpull.bench.device import Device
from pushpull.bench.failure import BenchFailed
from pushpull.bench.lanes import Posting
from pushpull.bench.pulling import Pulling
from pushpull.bench.sending import Route, Sending
from pushpull.bench.spread import Spread
from pushpull.bench.trickle import Trickle
from pushpull.bench.wire import EVERYWHERE

DIALLING: Final = 128
"""Connections being opened at a time: enough to keep the service busy, few enough for its listening queue."""
POLL_S: Final = 0.005


class Counts(msgspec.Struct, frozen=True):
    """What the devices of a process have seen since the counts were last restarted; `ticks` of 0.1 ms → how often."""

    live: int
    lost: int
    frames: int
    items: int
    repeated: int
    gaps: int
    notices: int
    pulled: int
    acked: int
    sent: int
    received_bytes: int
    delivery: dict[int, int]
    answer: dict[int, int]
    opening: dict[int, int]
    errors: dict[str, int]


class Load:
    def __init__(self) -> None:
        self._crowd = Crowd()
        self._devices: list[Device] = []
        self._host, self._port = "", 0

    async def behave(
        self, acks: Acks, pulls: bool, heads_only: bool = False, deflates: bool = False, pull_limit: int = 500
    ) -> None:
        """From now on: when devices acknowledge, whether they come for news, whether pages are only counted.

        `deflates`: whether those who connect offer to have pages compressed. `pull_limit`: messages they ask for.
        """
        self._crowd.acks, self._crowd.pulls, self._crowd.pull_limit = acks, pulls, pull_limit
        self._crowd.heads_only, self._crowd.deflates = heads_only, deflates

    async def connect(
        self,
        host: str,
        port: int,
        tokens: dict[str, str],
        narrow: bool = False,
        looks_at: dict[str, str | None] | None = None,
    ) -> float:
        """Add a device for each uid → token, all live when this returns; seconds it took. Raises BenchFailed.

        `narrow`: over lines that can be read slowly. `looks_at`: uid → the conversation on its screen (None: none),
        for those who say so.
        """
        open_files.allow(len(self._devices) + len(tokens))
        self._host, self._port = host, port
        new = [Device(self._crowd, uid, token) for uid, token in tokens.items()]
        for device in new:
            device.looks_at = (looks_at or {}).get(device.name, EVERYWHERE)
            if narrow:
                device.trickle = Trickle(device)
        self._devices += new
        return await self._dial(new)

    async def read_at(self, bytes_per_s: float) -> None:
        """From now on, each device on a narrow line; 0: as fast as it comes."""
        for device in self._devices:
            if device.trickle is not None:
                device.trickle.read_at(bytes_per_s)

    async def reconnect(self) -> float:
        """All devices come back with their positions; seconds until all are live. Raises BenchFailed."""
        self._crowd.live = 0
        self._crowd.opening = Spread()
        return await self._dial(self._devices)

    async def listen_raw(self, host: str, port: int, connections: int) -> None:
        """Connections to the floor, which sends at once: no upgrade, no hello."""
        open_files.allow(connections)
        loop = asyncio.get_running_loop()
        for number in range(connections):
            device = Device(self._crowd, str(number), "")
            device.take_all()
            await loop.create_connection(lambda device=device: device, host, port)  # type: ignore[misc]
            self._devices.append(device)

    async def hang_up(self) -> None:
        """All connections end; the devices keep their positions."""
        for device in self._devices:
            device.hang_up()
        await asyncio.sleep(0.05)
        self._crowd.live = self._crowd.lost = 0

    async def _dial(self, devices: list[Device]) -> float:
        began, before = time.monotonic(), self._crowd.live
        dialled = 0
        give_up = began + 30 + len(devices) / 200
        dialling: set[asyncio.Task[None]] = set()
        while (done := self._crowd.live - before) < len(devices):
            while dialled < min(len(devices), done + DIALLING):
                task = asyncio.create_task(devices[dialled].dial(self._host, self._port))
                dialling.add(task)
                task.add_done_callback(dialling.discard)
                dialled += 1
            if self._crowd.lost or self._crowd.errors or time.monotonic() > give_up:
                raise BenchFailed(
                    f"{done} of {len(devices)} devices became live, {self._crowd.lost} were lost; "
                    f"they were told: {dict(self._crowd.errors)}"
                )
            await asyncio.sleep(0.001)
        seconds = time.monotonic() - began
        gc.collect()
        gc.freeze()  # thousands of devices that stay need not be looked at again and again
        return seconds

    # ------------------------------------------------------------------------------------------------ sends

    async def send_at_rate(
        self, routes: list[tuple[int, str]], size: int, seconds: float, most: int, per_s: float
    ) -> int:
        """Send by turns from (device's number, cid), so many a second; how many were sent."""
        sending = Sending(self._crowd, self._routes(routes), size=size, seconds=seconds, most=most)
        await sending.at_rate(per_s)
        return sending.made

    async def send_at_random(
        self, routes: list[tuple[int, str]], size: int, seconds: float, most: int, seed: int
    ) -> int:
        """Send `most` messages from (device's number, cid)s at random moments; how many were sent."""
        sending = Sending(self._crowd, self._routes(routes), size=size, seconds=seconds, most=most)
        await sending.at_random(seed)
        return sending.made

    async def send_answered(
        self, routes: list[tuple[int, str]], size: int, seconds: float, most: int, in_flight: int
    ) -> int:
        """Send with `in_flight` under way on each route, until all were answered; how many were sent."""
        sending = Sending(self._crowd, self._routes(routes), size=size, seconds=seconds, most=most)
        await sending.while_answered(in_flight)
        return sending.made

    async def send_delivered(
        self, routes: list[tuple[int, str]], size: int, seconds: float, most: int, receivers: int, in_flight: int
    ) -> int:
        """Send while at most `in_flight` messages are on their way to `receivers` devices each; how many were sent."""
        sending = Sending(self._crowd, self._routes(routes), size=size, seconds=seconds, most=most)
        await sending.while_delivered(receivers, in_flight)
        return sending.made

    async def post(
        self,
        where: tuple[str, int],
        key: str,
        targets: list[tuple[str, str]],
        size: int,
        batch: int,
        lanes: int,
        seconds: float,
        most: int,
    ) -> dict[str, Any]:
        """Post messages over HTTP to (host, port); {calls, stored, refused, times}."""
        posting = Posting(where[0], where[1], key, size=size, batch=batch)
        await posting.run(targets, lanes=lanes, seconds=seconds, most=most)
        return {
            "calls": posting.calls,
            "stored": posting.stored,
            "refused": posting.refused,
            "times": posting.times.ticks,
        }

    def _routes(self, routes: list[tuple[int, str]]) -> list[Route]:
        return [(self._devices[number], cid.encode()) for number, cid in routes]

    # ------------------------------------------------------------------------------------------------ pulls

    async def pull(
        self, cid: str, starts: list[int], limit: int, devices: int, seconds: float, most: int, seed: int
    ) -> dict[str, Any]:
        """Pull pages above any of `starts` by so many devices; {pages, short, times}."""
        pulling = Pulling(self._crowd, self._devices[:devices], cid.encode(), limit=limit)
        await pulling.for_a_while(starts, seconds=seconds, most=most, seed=seed)
        return {"pages": pulling.pages, "short": pulling.short, "times": pulling.times.ticks}

    async def pull_at_once(self, cid: str, after: int, limit: int) -> dict[str, Any]:
        """Every device pulls the same page; {pages, short, times}."""
        pulling = Pulling(self._crowd, self._devices, cid.encode(), limit=limit)
        await pulling.all_at_once(after)
        return {"pages": pulling.pages, "short": pulling.short, "times": pulling.times.ticks}

    # ------------------------------------------------------------------------------------------------ what came

    async def ack_all(self, cid: str) -> None:
        """Every device acknowledges what it has."""
        for number, device in enumerate(self._devices):
            device.ack_now(cid.encode())
            if number % DIALLING == 0:
                await asyncio.sleep(0)

    async def until(self, what: str, count: int, seconds: float) -> bool:
        """Wait until the devices have seen so many `items` or `frames` …; False when they had not after `seconds`."""
        give_up = time.monotonic() + seconds
        while getattr(self._crowd, what) < count:
            if time.monotonic() > give_up:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def count(self, what: str) -> int:
        """How many `items`, `frames` … the devices have seen."""
        return int(getattr(self._crowd, what))

    async def behind(self, cid: str, head: int) -> int:
        """How many devices that come for it do not have the conversation up to `head`."""
        devices = (device for device in self._devices if device.looks_at is not None)
        return sum(device.at.get(cid.encode(), (0, ""))[0] < head for device in devices)

    async def look(self, looks_at: dict[str, str | None]) -> None:
        """uid → the conversation on its screen from now on; None: none. Other uids are not of this process."""
        for number, device in enumerate(self._devices):
            if device.looks_at != (cid := looks_at.get(device.name, device.looks_at)):
                device.look(cid)
            if number % DIALLING == 0:
                await asyncio.sleep(0)

    async def lookers_behind(self, heads: dict[str, int]) -> int:
        """How many devices do not have the conversation on their screen up to its head."""
        looking = ((device, device.looks_at) for device in self._devices if device.looks_at)
        return sum(device.at.get(cid.encode(), (0, ""))[0] < heads.get(cid, 0) for device, cid in looking)

    async def restart_counts(self) -> None:
        self._crowd.restart_counts()

    async def counts(self) -> Counts:
        """Since the last restart of the counts."""
        self._crowd.fold()
        crowd = self._crowd
        shown = {name: getattr(crowd, name) for name in Counts.__struct_fields__}
        spreads = {name: value.ticks for name, value in shown.items() if isinstance(value, Spread)}
        return Counts(**{**shown, **spreads})


async def main() -> None:
    gc.disable()
    load = Load()
    public = (name for name in dir(load) if not name.startswith("_"))
    await answer_requests({name: getattr(load, name) for name in public})


if __name__ == "__main__":
    uvloop.run(main())
