"""A process that holds many devices of one group: orders in one line on standard input, reports on output.

A device does what the contract asks and no more: it keeps its position, acks after the delay it is told, pulls when it
is notified. Ends when its input ends.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, Final

import orjson
import uvloop

from pushpull.demo.wire import Address, Wire

DIALLING: Final = 64
"""Connections being opened at a time."""
REPORT_S: Final = 0.02
LINE_BYTES: Final = 64 * 1024 * 1024


class Count:
    """How many devices have each message, and when (monotonic s, the same clock for all processes) the last got it."""

    def __init__(self) -> None:
        self.listed = 0
        self.have: dict[int, int] = {}
        self.last: dict[int, float] = {}
        self.lost = ""

    def got(self, seqs: range) -> None:
        now = time.monotonic()
        for seq in seqs:
            self.have[seq] = self.have.get(seq, 0) + 1
            self.last[seq] = now

    def state(self) -> dict[str, Any]:
        return {"listed": self.listed, "have": self.have, "last": self.last, "lost": self.lost}


class Device:
    """One device. `cid` is the group it is measured in."""

    def __init__(self, cid: str, token: str, name: str, count: Count) -> None:
        self._cid = cid
        self._token = token
        self._name = name
        self._count = count
        self._at = 0
        self._ack_s = 0.2
        self._ack_timer: asyncio.TimerHandle | None = None
        self._wire: Wire | None = None
        self.listed = asyncio.Event()

    def wire(self, url: str) -> Wire:
        self._wire = Wire(url, self._token, on_open=self._opened, on_frame=self._received, on_closed=self._closed)
        return self._wire

    def _say(self, frame: dict[str, Any]) -> None:
        assert self._wire is not None
        self._wire.send(frame)

    def _opened(self) -> None:
        self._say({"type": "hello", "device": self._name, "unnamed": "head"})

    def _closed(self, code: int, reason: str) -> None:
        self._count.lost = f"{code} {reason}"

    def _received(self, text: bytes) -> None:
        frame = orjson.loads(text)
        kind = frame["type"]
        if kind == "messages":
            self._messages(frame)
        elif kind == "notice":
            self._pull(frame["head"])
        elif kind == "welcome":
            self._ack_s = frame["ack"]["delay_ms"] / 1000
        elif kind == "sync":
            self._at = next(row["head"] for row in frame["conversations"] if row["cid"] == self._cid)
            self.listed.set()
            self._count.listed += 1
        elif kind == "ping":
            self._say({"type": "pong"})

    def _messages(self, frame: dict[str, Any]) -> None:
        upto = frame["upto"]
        if frame["after"] > self._at:
            self._pull(upto)
        elif upto > self._at:
            self._count.got(range(self._at + 1, upto + 1))
            self._at = upto
            if self._ack_timer is None:
                self._ack_timer = asyncio.get_running_loop().call_later(self._ack_s, self._ack)
            self._pull(frame["head"])

    def _pull(self, head: int) -> None:
        if head > self._at:
            self._say({"type": "pull", "cid": self._cid, "after": self._at})

    def _ack(self) -> None:
        self._ack_timer = None
        self._say({"type": "ack", "acks": {self._cid: self._at}})


async def dial(devices: list[Device], address: Address) -> None:
    gate = asyncio.Semaphore(DIALLING)

    async def one(device: Device) -> None:
        async with gate:
            await address.dial(device.wire, within_s=30)
            await device.listed.wait()

    await asyncio.gather(*(one(device) for device in devices))


async def report(count: Count) -> None:
    """Say how it stands, whenever it changed."""
    before = b""
    while True:
        now = orjson.dumps(count.state(), option=orjson.OPT_NON_STR_KEYS)
        if now != before:
            sys.stdout.buffer.write(now + b"\n")
            sys.stdout.buffer.flush()
            before = now
        await asyncio.sleep(REPORT_S)


async def main() -> None:
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    orders = orjson.loads(await reader.readline())
    count = Count()
    devices = [Device(orders["cid"], token, f"d{n}", count) for n, token in enumerate(orders["tokens"])]
    chores = [asyncio.create_task(dial(devices, Address(orders["url"]))), asyncio.create_task(report(count))]
    await reader.read()
    for chore in chores:
        chore.cancel()
    await asyncio.gather(*chores, return_exceptions=True)


if __name__ == "__main__":
    uvloop.run(main())
