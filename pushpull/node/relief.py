"""What this node leaves out at the moment (delivery.shedding), asked by whoever is about to send an extra."""

from __future__ import annotations

from pushpull.delivery.shedding import Extra, Strain, next_level
from pushpull.node.metrics import Metrics


class Relief:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.level = 0

    def adapt(self, strain: Strain) -> None:
        """Take the last second into account."""
        self.level = next_level(self.level, strain)
        self._metrics.shedding.set(self.level)

    def sheds(self, what: Extra) -> bool:
        """Whether `what` is left out now; counted if so."""
        if self.level < what.level:
            return False
        self._metrics.shed.labels(what.value).inc()
        return True
