"""What is counted beside a node's own work: what it logs, what stands in Redis, what is looked up when asked for."""

from __future__ import annotations

from pushpull.node.background import Background
from pushpull.node.doorbell import Doorbell
from pushpull.node.gauges import show_gauges
from pushpull.node.log_records import LogRecords
from pushpull.node.parts import Parts
from pushpull.node.soundings import SOUND_S, Soundings


class Observation:
    def __init__(self, parts: Parts, doorbell: Doorbell, *, offline: bool) -> None:
        """`offline`: somebody is notified of what was not read."""
        self._soundings = Soundings(parts.store, parts.metrics, offline=offline)
        self._log_records = LogRecords(parts.metrics)
        show_gauges(parts, doorbell)
        if parts.spans is not None:
            parts.spans.begin(parts.node_id, parts.metrics)

    def start(self, background: Background) -> None:
        self._log_records.begin()
        background.repeat(self._soundings.round, every_s=SOUND_S, name="soundings")

    def stop(self) -> None:
        self._log_records.end()
