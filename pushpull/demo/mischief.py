"""What makes devices flaky: lines that break, acks that are kept back until the service delivers again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Final

from pushpull.demo.device import Device
from pushpull.demo.plan import drops, withholds

DROP_S: Final = (4.0, 10.0)
"""Between two broken lines of one device."""
WITHHOLD_S: Final = (6.0, 9.0)
"""Longer than the default ack_wait_ms (5 s), shorter than what follows it (5 + 10 s) and ends the connection."""
PAUSE_S: Final = (1.0, 3.0)


class Mischief:
    """Begins at once, for the devices whose number says so; `end` returns them to order."""

    def __init__(self, devices: Iterable[Device], *, seconds: float) -> None:
        self._devices = list(devices)
        self._tasks = [
            *(asyncio.create_task(_drop(device, seconds)) for device in self._devices if drops(device.number)),
            *(asyncio.create_task(_withhold(device, seconds)) for device in self._devices if withholds(device.number)),
        ]

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for device in self._devices:
            device.behave()


async def _drop(device: Device, seconds: float) -> None:
    while True:
        await asyncio.sleep(random.uniform(*_fitting(DROP_S, seconds)))
        device.drop()


async def _withhold(device: Device, seconds: float) -> None:
    while True:
        await asyncio.sleep(random.uniform(*_fitting(PAUSE_S, seconds)))
        withheld_s = random.uniform(*WITHHOLD_S)
        device.withhold(withheld_s)
        await asyncio.sleep(withheld_s)


def _fitting(limits: tuple[float, float], seconds: float) -> tuple[float, float]:
    """`limits`, or less where the demo would be half over by then."""
    shortest, longest = limits
    return min(shortest, seconds * 0.1), min(longest, seconds * 0.4)
