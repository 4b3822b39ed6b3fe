"""The cost of each rule over the population: processor time of the nodes, bytes to devices, commands of Redis."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pushpull.delivery.costs import Habits, Prices, Work, acks_per_s
from pushpull.settings import Delivery
from pushpull.tune.outcomes import Crowd, Rule, always_notify, always_push, by_policy, by_size
from scripts.simulating.population import Assumptions, Kind

RULES: Final[dict[str, Rule]] = {
    "always push": always_push,
    "always notify": always_notify,
    "size threshold": by_size,
    "policy": by_policy,
}
MICRO: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Rates:
    """What one of each kind of work costs: seconds of processor time, commands of Redis, bytes to devices."""

    cpu: Prices
    commands: Prices
    sent_bytes: Prices


@dataclass(slots=True)
class Total:
    """Of a rule, a second of the whole population. `by_size`: largest members of a class → cores."""

    cores: float = 0.0
    sent_bytes: float = 0.0
    redis_commands: float = 0.0
    work: Work = field(default_factory=Work)
    by_size: dict[int, float] = field(default_factory=dict)


def add(total: Total, rule: Rule, of: Iterable[Kind], rates: Rates, at: Assumptions, settings: Delivery) -> float:
    """Add these conversations to what the rule costs; their cores."""
    cores = 0.0
    for kind in of:
        work = whole(rule, kind, at, settings).times(kind.count)
        heard = kind.rate * (nodes_with(kind.connected, at.nodes) - 1) * kind.count
        cores += rates.cpu.of(work) + heard * at.heard_us * MICRO
        total.sent_bytes += rates.sent_bytes.of(work)
        total.redis_commands += rates.commands.of(work)
        total.work += work
    total.cores += cores
    return cores


def whole(rule: Rule, kind: Kind, at: Assumptions, settings: Delivery) -> Work:
    """A second of one conversation, on all nodes that have a member of it."""
    habits = Habits(viewers=kind.viewers, visit_s=at.visit_s)
    served = rule(Crowd(kind.size, kind.rate, habits), settings).times(kind.connected)
    nodes = nodes_with(kind.connected, at.nodes)
    flushes = nodes * acks_per_s(min(kind.rate, served.acks / nodes), habits.flush_s)
    return served + Work(sends=kind.rate, flushes=flushes)


def nodes_with(connected: float, nodes: int) -> float:
    """How many nodes have one of so many members, each on any node: at least the one that sends."""
    return max(1.0, nodes * (1 - (1 - 1 / nodes) ** connected))
