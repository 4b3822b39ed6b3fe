"""Devices in processes of their own, so that what they cost does not hide what the service costs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Final

import orjson

CONNECT_S: Final = 120.0
DELIVER_S: Final = 60.0
LINE_BYTES: Final = 4 * 1024 * 1024


class Fleet:
    """What the device processes last said, each for itself."""

    def __init__(self, size: int, processes: int) -> None:
        self.size = size
        self._said: list[dict[str, Any]] = [{"listed": 0, "have": {}, "last": {}, "lost": ""}] * processes
        self._changed = asyncio.Event()

    @property
    def listed(self) -> int:
        return sum(said["listed"] for said in self._said)

    def have(self, seq: int) -> int:
        """How many devices have the message."""
        return sum(said["have"].get(str(seq), 0) for said in self._said)

    def last(self, seq: int) -> float:
        """When (monotonic s) the last of those that have it got it."""
        return max(float(said["last"].get(str(seq), 0)) for said in self._said)

    async def hear(self, place: int, output: asyncio.StreamReader) -> None:
        while line := await output.readline():
            self._said[place] = orjson.loads(line)
            self._changed.set()

    async def until(self, done: Callable[[], bool], *, within_s: float, what: str, look: Callable[[], None]) -> None:
        """Wait, calling `look` whenever something changed. Raises RuntimeError when a device is lost or it is late."""
        deadline = time.monotonic() + within_s
        while not done():
            lost = next((said["lost"] for said in self._said if said["lost"]), "")
            if lost or time.monotonic() > deadline:
                raise RuntimeError(f"{what}: {lost or f'not within {within_s:g} s'}")
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), 1.0)
            look()


@contextlib.asynccontextmanager
async def connected(
    url: str, cid: str, tokens: Sequence[str], *, processes: int, look: Callable[[Fleet], None]
) -> AsyncIterator[Fleet]:
    """A device for each token, connected, spread over `processes`. `look` sees how it goes."""
    fleet = Fleet(len(tokens), processes)
    started = [await _start(url, cid, tokens[place::processes]) for place in range(processes)]
    ears = [
        asyncio.create_task(fleet.hear(place, process.stdout))
        for place, process in enumerate(started)
        if process.stdout is not None
    ]
    try:
        await fleet.until(
            lambda: fleet.listed == fleet.size,
            within_s=CONNECT_S,
            what=f"connecting {fleet.size} devices",
            look=lambda: look(fleet),
        )
        yield fleet
    finally:
        for process in started:
            process.kill()
            await process.wait()
        await asyncio.gather(*ears)


async def _start(url: str, cid: str, tokens: Sequence[str]) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scripts.measuring.devices"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES,
        env=dict(os.environ),
    )
    assert process.stdin is not None
    process.stdin.write(orjson.dumps({"url": url, "cid": cid, "tokens": list(tokens)}) + b"\n")
    await process.stdin.drain()
    return process
