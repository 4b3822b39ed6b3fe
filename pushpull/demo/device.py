"""One device: the client library's rules (`pushpull.client.core`) on a lean wire, with a user who reads at once.

What `pushpull.client.connect` does with two tasks, this does in the callbacks of one socket: bytes in, frames into the
core, messages out to the inspector, whatever the core owes back onto the wire. The core decides everything that
matters for the check (order, gaps, duplicates, pulls, acks, retries); nothing here looks at a seq but to count.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Any, Final
from uuid import uuid4

from pushpull import __version__
from pushpull.client import Message, Reset, frames
from pushpull.client.backoff import AfterClose, Backoff, after_close
from pushpull.client.closed import LinkClosed
from pushpull.client.core import Core
from pushpull.client.inbox import Inbox
from pushpull.client.link import SILENCE
from pushpull.client.outbox import Outbox, Outgoing
from pushpull.demo.inspector import Inspector
from pushpull.demo.wire import Address, Wire
from pushpull.errors import CmidExpired

OPEN_S: Final = 15.0
"""From the dial to `welcome`."""
GLANCE_S: Final = 0.25
"""While acks are withheld, how often to look whether something else is due."""
SOONEST_S: Final = 0.001
MAX_QUEUED: Final = 1000


class Device:
    """`number` is its user's in the plan. Tells the inspector everything; `failure` says why it stays away for good."""

    def __init__(self, number: int, token: str, address: Address, inspector: Inspector) -> None:
        self.number = number
        self.open = False
        self.failure = ""
        self.trouble = ""  # how the last connection ended
        self._token = token
        self._address = address
        self._inspector = inspector
        self._core = Core(Inbox({}, max_queued=MAX_QUEUED), Outbox(), chance=random.random)
        self._backoff = Backoff()
        self._wire: Wire | None = None  # from the dial on
        self._dialling: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._silence_s = OPEN_S
        self._heard_at = self._opened_at = 0.0
        self._withholds_until = 0.0

    @property
    def listed(self) -> bool:
        """Connected, and told of all its conversations."""
        return self.open and self._core.list_complete

    @property
    def withholding(self) -> bool:
        return time.monotonic() < self._withholds_until

    def start(self) -> None:
        """Connect, and stay connected."""
        self._dialling = asyncio.create_task(self._dial())

    def send(self, cid: str, body: Any, on_done: Callable[[Outgoing], None]) -> None:
        """Send one message, for as long as it takes."""
        self._core.outbox.add(Outgoing(cid, uuid4().hex, frames.encode_body(body), on_done=on_done))
        self._pump()

    def drop(self) -> None:
        """Lose the connection."""
        if self._wire is not None:
            self._wire.abort()

    def withhold(self, seconds: float) -> None:
        """Take messages and ack none of them for a while."""
        self._withholds_until = time.monotonic() + seconds

    def behave(self) -> None:
        """Ack whatever was withheld; the network is back, so do not wait any longer before dialling."""
        self._withholds_until = 0.0
        self._hurry.set()
        self._pump()

    def look(self) -> None:
        """Give up a line on which nothing came for too long. Call about once a second."""
        if self._wire is not None and time.monotonic() - self._heard_at > self._silence_s:
            self._wire.abort()

    def finish(self) -> None:
        """Ack what was shown and leave."""
        self._stop_waiting()
        if self._dialling is not None:
            self._dialling.cancel()
        acks = self._core.ack(now=time.monotonic(), at_once=True)
        wire, self._wire = self._wire, None
        if wire is not None:
            if acks and self.open:
                wire.send({"type": "ack", "acks": acks})
            wire.close()
        self.open = False

    # ------------------------------------------------------------------------------------------------ the line

    async def _dial(self) -> None:
        while True:
            try:
                await self._address.dial(self._make_wire, within_s=OPEN_S)
            except LinkClosed as closed:
                self._wire = None
                self.trouble = str(closed)
                await self._pause()
            else:
                return

    async def _dial_later(self) -> None:
        await self._pause()
        await self._dial()

    async def _pause(self) -> None:
        """Wait as long as the rules for reconnecting say, or until the network is back."""
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next_delay_s(random.random())):
                await self._hurry.wait()

    def _make_wire(self, url: str) -> Wire:
        self._heard_at, self._silence_s = time.monotonic(), OPEN_S
        self._wire = Wire(url, self._token, on_open=self._greet, on_frame=self._take, on_closed=self._on_closed)
        return self._wire

    def _greet(self) -> None:
        if self._wire is None:
            return  # finished
        hello = {
            "type": "hello",
            "device": f"demo-{self.number}",
            "client": f"pushpull-demo/{__version__}",
            "unnamed": "all",
            "positions": dict(self._core.inbox.handed),
        }
        self._wire.send(hello)

    def _on_closed(self, code: int, reason: str) -> None:
        if self._wire is None:
            return  # finished
        now = time.monotonic()
        self._wire = None
        self._stop_waiting()
        self._backoff.lived(now - self._opened_at if self.open else 0)
        self.open = False
        self._core.closed(now=now)
        self.trouble = f"closed with {code} {reason}".rstrip()
        if after_close(code) is AfterClose.RECONNECT:
            self._inspector.counts.reconnects += 1
            self._dialling = asyncio.create_task(self._dial_later())
        else:
            self.failure = self.trouble

    # ------------------------------------------------------------------------------------------------ frames

    def _take(self, text: bytes) -> None:
        now = self._heard_at = time.monotonic()
        frame = frames.parse(text)
        if frame is None:
            return
        if isinstance(frame, frames.Welcome):
            self._core.opened(frame, now=now)
            self._silence_s, self._opened_at, self.open = SILENCE * frame.heartbeat_s, now, True
        elif isinstance(frame, frames.Drain):
            self._dialling = asyncio.create_task(self._move_house(frame))
        else:
            self._count(frame)
            self._core.receive(frame, now=now)
            self._read(now)
        self._pump()

    async def _move_house(self, drain: frames.Drain) -> None:
        await asyncio.sleep((drain.after_ms + random.random() * drain.jitter_ms) / 1000)
        if self._wire is not None:
            self._wire.close()

    def _count(self, frame: frames.Incoming) -> None:
        counts = self._inspector.counts
        if isinstance(frame, frames.Messages):
            position = self._core.held.positions.get(frame.cid)
            if position is not None:
                counts.suppressed += sum(item.seq <= position.seq for item in frame.items)
            if frame.redelivery:
                counts.redelivered += len(frame.items)
        elif isinstance(frame, frames.Notice):
            counts.notices += 1

    def _read(self, now: float) -> None:
        """The user looks at everything that came, at once."""
        inbox = self._core.inbox
        while (entry := inbox.take()) is not None:
            if isinstance(entry.event, Message):
                self._inspector.show(self.number, entry.event, now=now)
            elif isinstance(entry.event, Reset):
                self._inspector.go_back(self.number, entry.event)
            self._core.settle(now=now)

    # ------------------------------------------------------------------------------------------------ what is owed

    def _pump(self) -> None:
        """Send what the core owes now, and come back when it owes more."""
        wire = self._wire
        if wire is None or not self.open:
            return
        now = time.monotonic()
        self._core.moved.clear()  # nothing is kept over the end of the process
        acks = {} if now < self._withholds_until else self._core.ack(now=now)
        if acks:
            wire.send({"type": "ack", "acks": acks})
        for frame in self._core.outgoing(now=now):
            self._inspector.counts.pulls += frame["type"] == "pull"
            wire.send(frame)
        while self._core.expired:
            self._core.outbox.settle(self._core.expired.pop(), error=CmidExpired("the demo does not look these up"))
        self._wait(now)

    def _wait(self, now: float) -> None:
        at = self._core.next_at(now=now)
        if at is None:
            return
        if now < self._withholds_until:
            at = max(at, min(self._withholds_until, now + GLANCE_S))
        if self._timer is not None:
            if self._due_at <= at:
                return
            self._timer.cancel()
        self._due_at = at
        self._timer = asyncio.get_running_loop().call_later(max(SOONEST_S, at - now), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._pump()

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
