"""The node's ear: one pub/sub connection, and the proof that it hears.

What comes in is handed on at once and in order, what came together, together. A hung server raises nothing on a
pub/sub connection, so the node rings its own bell every PROBE_S and hears it: `heard` says how long ago. Readiness
follows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Final

from pushpull.errors import PushpullError
from pushpull.model import Cid
from pushpull.node.background import Background
from pushpull.store.bells import Bells
from pushpull.store.values import ControlSubscribed, ProbeEcho, Ring

log = logging.getLogger(__name__)

PROBE_S: Final = 2.0
DEAF_AFTER_S: Final = 3 * PROBE_S
FAILED_S: Final = 0.5
TURN: Final = 128
"""Rings handled between two turns of the loop, at least: a flood of bells must not keep the sockets waiting."""


class Doorbell:
    def __init__(self, bells: Bells, background: Background, *, rung: Callable[[Sequence[Ring]], None]) -> None:
        self._bells = bells
        self._background = background
        self._rung = rung
        self._probe = ""
        self._heard_at = -math.inf
        self._heard = asyncio.Event()

    async def start(self, node_id: str) -> None:
        await self._bells.start(node_id)
        self._background.spawn(self._listen(), "doorbell")
        self._background.repeat(self._probe_once, every_s=PROBE_S, name="doorbell probe")
        # A node that says it is up should hear; where it does not yet, readiness says so.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._heard.wait(), PROBE_S)

    async def stop(self) -> None:
        await self._bells.aclose()

    async def subscribe(self, cids: Sequence[Cid]) -> None:
        await self._bells.subscribe(cids)

    async def unsubscribe(self, cids: Sequence[Cid]) -> None:
        await self._bells.unsubscribe(cids)

    @property
    def hears(self) -> bool:
        """Whether a probe came back lately."""
        return time.monotonic() - self._heard_at < DEAF_AFTER_S

    async def _listen(self) -> None:
        handled = 0
        while True:
            rings = await self._next()
            self._rung([ring for ring in rings if not self._is_own(ring)])
            handled += len(rings)
            if handled >= TURN:
                handled = 0
                await asyncio.sleep(0)

    async def _next(self) -> list[Ring]:
        """What came in together; empty: nothing came for a while."""
        try:
            first = await self._bells.next(1.0)
            return [] if first is None else [first, *self._bells.ready()]
        except Exception:
            # A node that stops listening is deaf for good: whatever this was, the next ring may be fine.
            log.exception("the doorbell failed and goes on")
            await asyncio.sleep(FAILED_S)
            return []

    def _is_own(self, ring: Ring) -> bool:
        """Take what concerns the doorbell itself; whether that is all about it."""
        if isinstance(ring, ControlSubscribed):
            # The probe's channel was asked for in the same breath: prove the new connection at once.
            self._background.spawn(self._probe_once(), "first probe")
        elif isinstance(ring, ProbeEcho):
            if ring.token == self._probe:
                self._heard_at = time.monotonic()
                self._heard.set()
            return True
        return False

    async def _probe_once(self) -> None:
        self._probe = uuid.uuid4().hex
        try:
            await self._bells.probe(self._probe)
        except PushpullError as problem:
            log.debug("probe was not sent: %s", problem.message)
