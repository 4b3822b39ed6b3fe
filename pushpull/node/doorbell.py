"""The node's ears, and the proof that they hear.

What comes in is handed on at once and in order, what came together, together. A hung server raises nothing on a
pub/sub connection, so the node rings its own bell on every shard each PROBE_S and hears it. Readiness follows that, and
a shard that is not heard for DEAF_AFTER_S is listened to on another connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Final

from pushpull.model import Cid
from pushpull.node.background import Background
from pushpull.node.metrics import Metrics
from pushpull.store.bells import Bells
from pushpull.store.values import ControlSubscribed, ProbeEcho, Ring

log = logging.getLogger(__name__)

PROBE_S: Final = 2.0
DEAF_AFTER_S: Final = 3 * PROBE_S
FIRST_PROBES_S: Final = 0.1
FAILED_S: Final = 0.5
TURN: Final = 128
"""Rings handled between two turns of the loop, at least: a flood of bells must not keep the sockets waiting."""


class Doorbell:
    def __init__(
        self,
        bells: Bells,
        background: Background,
        *,
        rung: Callable[[Sequence[Ring]], None],
        metrics: Metrics | None = None,
    ) -> None:
        self._bells = bells
        self._metrics = metrics or Metrics()
        self._background = background
        self._rung = rung
        self._probes = 0
        self._probed_at = 0.0  # when the last one was sent
        self._heard_at: dict[str, float] = {}  # by shard
        self._waits_since: dict[str, float] = {}  # by shard: when it was heard, or its connection was given up, last

    async def start(self, node_id: str) -> None:
        await self._bells.start(node_id)
        self._background.spawn(self._listen(), "doorbell")
        self._background.repeat(self._probe_once, every_s=PROBE_S, name="doorbell probe")
        # A node that says it is up should hear; where it does not yet, readiness says so.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PROBE_S):
                await self._first_heard()

    async def _first_heard(self) -> None:
        """Probe until all shards are heard: one that is sent before a subscription stands is lost."""
        while not self.hears:
            await self._probe_once()
            await asyncio.sleep(FIRST_PROBES_S)

    async def stop(self) -> None:
        await self._bells.aclose()

    async def subscribe(self, cids: Sequence[Cid]) -> None:
        await self._bells.subscribe(cids)

    async def unsubscribe(self, cids: Sequence[Cid]) -> None:
        await self._bells.unsubscribe(cids)

    @property
    def hears(self) -> bool:
        """Whether a probe came back lately, from every shard."""
        shards, now = self._bells.shards(), time.monotonic()
        return bool(shards) and all(now - self._heard_at.get(shard, -math.inf) < DEAF_AFTER_S for shard in shards)

    async def _listen(self) -> None:
        handled = 0
        while True:
            rings = await self._next()
            self._rung([ring for ring in rings if not self._is_own(ring)])
            handled += len(rings)
            self._metrics.bells.inc(len(rings))
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
            # A shard's probe channel was asked for in the same breath: prove the new connection at once.
            self._background.spawn(self._probe_once(), "first probe")
        elif isinstance(ring, ProbeEcho):
            self._heard_at[ring.shard] = self._waits_since[ring.shard] = now = time.monotonic()
            if ring.token == str(self._probes):  # else it is late by more than a turn, and readiness tells of that
                self._metrics.doorbell_seconds.observe(now - self._probed_at)
            return True
        return False

    async def _probe_once(self) -> None:
        await self._give_up_deaf(time.monotonic())
        self._probes += 1
        self._probed_at = time.monotonic()
        await self._bells.probe(str(self._probes))

    async def _give_up_deaf(self, now: float) -> None:
        shards = self._bells.shards()
        self._heard_at = {shard: at for shard, at in self._heard_at.items() if shard in shards}
        self._waits_since = {shard: self._waits_since.get(shard, now) for shard in shards}
        for shard in [shard for shard, since in self._waits_since.items() if now - since >= DEAF_AFTER_S]:
            log.warning(
                "no probe came back through pub/sub%s for %g s: trying another connection",
                shard and f" (shard {shard})",
                DEAF_AFTER_S,
            )
            self._waits_since[shard] = now
            await self._bells.reconnect(shard)
