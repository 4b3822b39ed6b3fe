"""The allowance of each user at this node: one for all its connections and HTTP calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from weakref import WeakValueDictionary

from pushpull.delivery.allowance import Allowance
from pushpull.model import Uid
from pushpull.node.metrics import Metrics
from pushpull.settings import Limits

KEPT: Final = 10_000
"""Users remembered without a connection, those seen last. About 400 bytes each; one that is forgotten starts anew."""


class Allowances:
    """Those of connected users live as long as their sessions hold them."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._refused: Callable[[str], None] = lambda what: metrics.rate_limited.labels(what).inc()
        self._held: WeakValueDictionary[Uid, Allowance] = WeakValueDictionary()
        self._recent: OrderedDict[Uid, Allowance] = OrderedDict()

    def of(self, uid: Uid) -> Allowance:
        """The user's, which begins with all of its burst."""
        found = self._held.get(uid)
        if found is None:
            found = self._held[uid] = Allowance(self._limits, self._refused)
        self._recent[uid] = found
        self._recent.move_to_end(uid)
        if len(self._recent) > KEPT:
            self._recent.popitem(last=False)
        return found
