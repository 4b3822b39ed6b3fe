"""What the calls of operators answer: of the service, its nodes, its policy, what it notifies. As `web.answers`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from pushpull.node.overview import Busy, Figures


class DeadLetterAnswer(msgspec.Struct, kw_only=True):
    """A notification that was given up; `at` is ms since 1970."""

    id: str
    cid: str
    why: str
    tries: int
    at: int


class OfflineAnswer(msgspec.Struct, kw_only=True):
    """Conversations with news that are due later, wait for a worker, have one, and were given up."""

    enabled: bool
    due: int
    waiting: int
    pending: int
    dead: int
    letters: list[DeadLetterAnswer]


class RequeuedAnswer(msgspec.Struct, kw_only=True):
    requeued: int


class PolicyEntry(msgspec.Struct, kw_only=True):
    """A setting in force, and where it came from; for one that was put, what would be in force without that."""

    value: Any
    origin: str
    without: dict[str, Any] | UnsetType = UNSET


class NodeAnswer(msgspec.Struct, kw_only=True):
    """A node as its heartbeat of `age_ms` ago describes it. `started_at`: ms since 1970."""

    node: str
    age_ms: int
    version: str
    sessions: int
    feeds: int
    lag_ms: float
    started_at: int
    draining: bool
    receipts: bool | UnsetType = UNSET  # some device of it asked for them; a node of an older release does not say


class NodesAnswer(msgspec.Struct, kw_only=True):
    nodes: list[NodeAnswer]


class NodeStats(msgspec.Struct, kw_only=True):
    """A node that lives, and how it does; null where it has not said so lately. `started_at`: ms since 1970."""

    node: str
    age_ms: int
    started_at: int
    draining: bool
    figures: Figures | None


class StatsAnswer(msgspec.Struct, kw_only=True):
    """`at` is ms since 1970; `total`: all nodes that said how they do."""

    at: int
    total: Figures
    nodes: list[NodeStats]


class BusiestAnswer(msgspec.Struct, kw_only=True):
    conversations: list[Busy]


class HealthAnswer(msgspec.Struct, kw_only=True):
    status: Literal["ok"] = "ok"


class ReadyAnswer(msgspec.Struct, kw_only=True):
    """`checks` says of each thing that readiness needs how it stands."""

    ready: bool
    checks: dict[str, str]
