"""Reports of nodes that are not there."""

from __future__ import annotations

from typing import Any

from pushpull.node.metrics import APPEND_BUCKETS_S, DELIVERY_BUCKETS_S
from pushpull.node.report import COUNTED, BusyHere, Report


def busy(cid: str, **changes: Any) -> BusyHere:
    fields: dict[str, Any] = {
        "cid": cid,
        "rate": 1.0,
        "members": 10,
        "setting": "auto",
        "mode": "push",
        "why": "10 members",
        "busy": False,
        **dict.fromkeys(("pushed", "gathered", "notified", "told"), 0),
    }
    return BusyHere(**fields | changes)


def report(**changes: Any) -> Report:
    """Of a node that does nothing, over two seconds."""
    fields: dict[str, Any] = {
        "over_s": 2.0,
        "load": 0.0,
        "lag_ms": 0.0,
        **dict.fromkeys(("sessions", "feeds", "windows", "waiting_sends", "shedding"), 0),
        **{name: dict.fromkeys(COUNTED, 0) for name in ("since_start", "lately")},
        "append_counts": (0,) * (len(APPEND_BUCKETS_S) + 1),
        "delivery_counts": (0,) * (len(DELIVERY_BUCKETS_S) + 1),
        "busiest": (),
    }
    return Report(**fields | changes)
