"""Sending at a rate, from random devices of each conversation."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from typing import Final

from pushpull.client.outbox import Outgoing
from pushpull.demo.device import Device
from pushpull.demo.inspector import Inspector
from pushpull.demo.plan import Plan

TICK_S: Final = 0.01
REASONS: Final = 5
"""Refusals whose text is kept; all are counted."""


class Load:
    """Sends until cancelled. `errors`: what the first refused sends were told."""

    def __init__(self, plan: Plan, devices: Sequence[Device], inspector: Inspector) -> None:
        self._plan = plan
        self._inspector = inspector
        self._small = plan.small
        self._members: dict[str, list[Device]] = {cid: [] for cid in (plan.hot, *plan.small)}
        for device, cids in zip(devices, plan.of_devices(), strict=True):
            for cid in cids:
                self._members[cid].append(device)
        self.errors: list[str] = []

    async def run(self) -> None:
        """Send, a tick's worth at a time; a tick that comes late sends what it owes."""
        began = time.monotonic()
        hot = small = 0
        while True:
            elapsed = time.monotonic() - began
            hot = self._send_due(hot, elapsed * self._plan.rate, [self._plan.hot])
            small = self._send_due(small, elapsed * self._plan.group_rate, self._small)
            await asyncio.sleep(TICK_S)

    def _send_due(self, done: int, due: float, cids: Sequence[str]) -> int:
        while cids and done < int(due):
            self._send(random.choice(cids))
            done += 1
        return done

    def _send(self, cid: str) -> None:
        members = self._members[cid]
        # A device that is away at this moment may send as well, but mostly it is one who sees the conversation.
        sender = next((device for device in random.choices(members, k=3) if device.open), members[0])
        mark, body = self._inspector.sending(cid, sender.number, now=time.monotonic())

        def on_done(outgoing: Outgoing) -> None:
            if outgoing.result is not None:
                self._inspector.sent(cid, mark, outgoing.result.id, dup=outgoing.result.dup)
                return
            self._inspector.refused(cid, mark)
            if outgoing.error is not None and len(self.errors) < REASONS:
                self.errors.append(f"a send was refused: {outgoing.error.message}")

        sender.send(cid, body, on_done)
