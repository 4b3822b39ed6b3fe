"""The process that holds all devices: `python -m pushpull.demo.fleet`, orders on standard input, reports on output.

It ends when it is done, or when its input ends: a director that dies takes its devices along.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import time
from collections.abc import Callable
from typing import Final

import msgspec
import uvloop

from pushpull.demo.device import Device
from pushpull.demo.inspector import Inspector
from pushpull.demo.load import Load
from pushpull.demo.mischief import Mischief
from pushpull.demo.reports import GO, STOP, Orders, Phase, Report, Verdict
from pushpull.demo.wire import Address
from pushpull.errors import ConfigError, PushpullError

DIALLING: Final = 64
"""Connections being opened at a time: enough to keep the service busy, few enough for its listening queue."""
CONNECT_S: Final = 60.0
REPORT_S: Final = 0.5
LOOK_S: Final = 1.0
SETTLE_S: Final = 1.0
"""After everyone has everything: time for what should not come any more, and for the last cursors to be written."""
SPARE_FILES: Final = 64
LINE_BYTES: Final = 256 * 1024 * 1024
FAILURES: Final = 5


class Fleet:
    """All devices of one demo. `tell` hands a report to the director."""

    def __init__(self, orders: Orders, tell: Callable[[Report], None]) -> None:
        self._plan = orders.plan
        self._tell = tell
        self._inspector = Inspector(orders.plan)
        address = Address(orders.url)
        self._devices = [Device(number, token, address, self._inspector) for number, token in enumerate(orders.tokens)]
        self._load = Load(orders.plan, self._devices, self._inspector)
        self._phase: Phase = "connecting"
        self._began = 0.0
        self.go = asyncio.Event()
        self.stop = asyncio.Event()

    async def run(self) -> None:
        """Connect, wait for `go`, send until the time is over or `stop`, catch up, tell the verdict."""
        chores = [asyncio.create_task(self._report()), asyncio.create_task(self._look())]
        try:
            await self._connect()
            self._enter("ready")
            await self.go.wait()
            cpu_before = time.process_time()
            seconds = await self._send()
            catch_up_s = await self._catch_up()
            await asyncio.sleep(SETTLE_S)
            verdict = self._verdict(seconds, catch_up_s, time.process_time() - cpu_before)
        finally:
            for chore in chores:
                chore.cancel()
        self._phase = "done"
        self._tell(self._look_around(verdict))
        for device in self._devices:
            device.finish()
        await asyncio.sleep(0.1)  # for the goodbyes to leave

    async def _connect(self) -> None:
        started, give_up = 0, time.monotonic() + CONNECT_S
        while (listed := sum(device.listed for device in self._devices)) < len(self._devices):
            for device in self._devices[started : listed + DIALLING]:
                device.start()
                started += 1
            failure = next((device.failure for device in self._devices if device.failure), "")
            if failure or time.monotonic() > give_up:
                trouble = next((device.trouble for device in self._devices if device.trouble), "no answer")
                reason = failure or f"not within {CONNECT_S:g} s, {trouble}"
                raise ConfigError(f"{listed} of {len(self._devices)} devices could connect: {reason}")
            await asyncio.sleep(0.01)

    async def _send(self) -> float:
        self._began = time.monotonic()
        self._enter("sending")
        mischief = Mischief(self._devices, seconds=self._plan.seconds)
        sending = asyncio.create_task(self._load.run())
        stopped = asyncio.create_task(self.stop.wait())
        try:
            await asyncio.wait([sending, stopped], timeout=self._plan.seconds, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            sending.cancel()
            stopped.cancel()
            await mischief.end()
        return time.monotonic() - self._began

    async def _catch_up(self) -> float:
        self._enter("catching up")
        began = time.monotonic()
        while not self._inspector.caught_up:
            if time.monotonic() - began > self._plan.patience_s:
                break
            await asyncio.sleep(0.05)
        return time.monotonic() - began

    def _verdict(self, seconds: float, catch_up_s: float, cpu_s: float) -> Verdict:
        inspector = self._inspector
        hot, small = inspector.judge()
        away = [f"device {device.number} {device.failure}" for device in self._devices if device.failure]
        return Verdict(
            hot=hot,
            small=small,
            unanswered=inspector.unanswered,
            latency_hot=inspector.hot.spread(),
            latency_small=inspector.small.spread(),
            latency_flaky=inspector.flaky.spread(),
            seconds=round(seconds, 2),
            catch_up_s=round(catch_up_s, 2),
            cpu_s=round(cpu_s, 2),
            failures=(self._load.errors + away)[:FAILURES],
        )

    # ------------------------------------------------------------------------------------------------ telling

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._tell(self._look_around())

    def _look_around(self, verdict: Verdict | None = None) -> Report:
        report = Report(
            phase=self._phase,
            at=time.monotonic() - self._began if self._began else 0.0,
            connected=sum(device.open for device in self._devices),
            withholding=sum(device.withholding for device in self._devices),
            verdict=verdict,
        )
        return self._inspector.look(report)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            self._tell(self._look_around())

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            for device in self._devices:
                device.look()


def _tell_on_stdout(report: Report) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


async def _listen(lines: asyncio.StreamReader, fleet: Fleet) -> None:
    """Returns when the director is gone."""
    while word := await lines.readline():
        if word.strip() == GO:
            fleet.go.set()
        elif word.strip() == STOP:
            fleet.stop.set()


async def main() -> None:
    """Take orders and carry them out."""
    lines = asyncio.StreamReader(limit=LINE_BYTES)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(lines), sys.stdin.buffer
    )
    try:
        orders = msgspec.json.decode(await lines.readline(), type=Orders)
        _allow_open_files(len(orders.tokens) + SPARE_FILES)
        fleet = Fleet(orders, _tell_on_stdout)
        running = asyncio.create_task(fleet.run())
        listening = asyncio.create_task(_listen(lines, fleet))
        await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if not running.done():
            running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    finally:
        transport.close()


def _allow_open_files(wanted: int) -> None:
    """Raise this process's limit of open files as far as needed; a device is a file. Raises ConfigError."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(f"{wanted} open files are needed and {hard} allowed (ulimit -Hn); connect fewer devices")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    try:
        uvloop.run(main())
    except PushpullError as problem:
        sys.exit(f"error: {problem.message}")
