"""Whether a node can serve, and what is wrong where it cannot."""

from __future__ import annotations

from dataclasses import dataclass

from pushpull.node.doorbell import Doorbell
from pushpull.store.store import Store


@dataclass(frozen=True, slots=True)
class Readiness:
    ready: bool
    checks: dict[str, str]  # name → "ok" or what is wrong


async def readiness_of(store: Store, doorbell: Doorbell, *, draining: bool) -> Readiness:
    """Never raises; within the time that `Store.health` takes."""
    health = await store.health()
    checks = {
        "redis": "ok" if health.ok else health.detail,
        "doorbell": "ok" if doorbell.hears else "no probe came back through pub/sub lately",
        "draining": "ok" if not draining else "this node is going away",
    }
    return Readiness(all(state == "ok" for state in checks.values()), checks)
