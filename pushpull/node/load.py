"""How hard this node works, looked at once a second, and what follows it: rounds of large groups, what is left out."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from pushpull.delivery.shedding import Strain
from pushpull.node.parts import Parts

LAG_PROBE_S: Final = 0.1


class LoadMeter:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._measured = (time.monotonic(), time.thread_time())
        self.lag_s = 0.0  # how late the loop ran a timer that was due
        self.load = 0.0  # the share of the last second that this thread computed

    def tick(self) -> None:
        """How much of the time since the last tick this thread computed. Call once a second, in the loop."""
        now, computed = time.monotonic(), time.thread_time()
        (then, before), self._measured = self._measured, (now, computed)
        self.load = load = min(1.0, (computed - before) / max(now - then, 1e-3))
        self._parts.metrics.load.set(load)
        self._parts.hub.pace.adapt(load)
        self._parts.background.spawn(self._parts.hub.ways.look(load, over_s=now - then), "policy")
        self._parts.hub.relief.adapt(Strain(load, self.lag_s, self._parts.appender.waiting_share))
        asyncio.get_running_loop().call_later(LAG_PROBE_S, self._measure_lag, time.monotonic() + LAG_PROBE_S)

    def _measure_lag(self, due: float) -> None:
        self.lag_s = max(0.0, time.monotonic() - due)
        self._parts.metrics.loop_lag.set(self.lag_s)
