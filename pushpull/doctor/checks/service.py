"""How do the nodes do that run now? Asked only where a URL of theirs is given."""

from __future__ import annotations

from collections.abc import Iterator

from pushpull.doctor.amounts import counted
from pushpull.doctor.facts import Facts, NodeFacts, ServiceFacts
from pushpull.doctor.finding import Finding, Item, error, warning
from pushpull.settings import Delivery

SERVICE_UNREACHABLE = error(
    "service_unreachable",
    why="no device and no backend can reach it there",
    mend="is it running (pushpull serve), listening there (server.host, server.port), let through by the proxy?",
)
NOT_READY = error(
    "not_ready",
    why="load balancers take this node out, and what it cannot do it refuses",
    mend='docs/operations.md, "At 3 a.m.", says for each of these what it is and what to do',
)
API_KEY_REFUSED = error(
    "api_key_refused",
    why="how its nodes do cannot be asked, and a backend that has this key is turned away",
    mend="one of the auth.api_keys of that service, in --api-key or PUSHPULL_API_KEY",
)
VERSIONS_DIFFER = warning(
    "versions_differ",
    why="two releases may share a Redis while you replace one by the other, not for good",
    mend="finish the upgrade: restart the nodes of the older release, one after the other",
)
NODE_LATE = warning(
    "node_late",
    why="everything this node does is that late: acks, pings, deliveries",
    mend="more nodes or workers, fewer others on the machine; limits.connections bounds what one takes",
)
NODE_BUSY = warning(
    "node_busy",
    why="there is no room for a storm of reconnects; above a half notices come later and pushes are gathered",
    mend="add a node or a worker (server.workers)",
)
NODE_SHEDDING = warning(
    "node_shedding",
    why="it leaves out signals, receipts or inline bodies, because it cannot follow",
    mend="add a node or a worker (server.workers)",
)
AUDIT_SLOW = warning(
    "audit_slow",
    why="a doorbell that is lost is found by the audit, and a round of it takes that long",
    mend="raise delivery.audit_reads_per_s to {wanted:.0f}",
)

LATE_MS = 100.0
BUSY = 0.75
ROUND_S = 60.0


def services(facts: Facts) -> Item:
    """Readiness, and what each node says of itself."""
    if not facts.services:
        return Item("service", "not asked: give --url of a running node", skipped=True)
    findings = [finding for service in facts.services for finding in _of(service, facts.settings.delivery)]
    return Item("service", "; ".join(map(_told, facts.services)), tuple(dict.fromkeys(findings)))


def _told(service: ServiceFacts) -> str:
    state = service.problem or ("not ready" if service.failing else "ready")
    count = "" if service.nodes is None else f", {counted(len(service.nodes), 'node')}"
    return f"{service.url}: {state}{count}"


def _of(service: ServiceFacts, delivery: Delivery) -> Iterator[Finding]:
    if service.problem:
        yield SERVICE_UNREACHABLE.found(f"{service.url}: {service.problem}")
    if service.refusal:
        yield API_KEY_REFUSED.found(f"{service.url}: {service.refusal}")
    for name, state in service.failing.items():
        yield NOT_READY.found(f"{service.url}: {name}: {state}")
    nodes = service.nodes or ()
    # One that does not say is of a release from before it was asked.
    versions = sorted({node.version or "one that does not say" for node in nodes})
    if len(versions) > 1:
        yield VERSIONS_DIFFER.found(f"nodes run {', '.join(versions)}")
    for node in nodes:
        yield from _node(node, delivery)


def _node(node: NodeFacts, delivery: Delivery) -> Iterator[Finding]:
    if node.lag_ms > LATE_MS:
        yield NODE_LATE.found(f"node {node.id} is {node.lag_ms:,.0f} ms late")
    if node.load > BUSY:
        yield NODE_BUSY.found(f"node {node.id} computes {node.load:.0%} of the time")
    if node.shedding:
        yield NODE_SHEDDING.found(f"node {node.id} is at shedding level {node.shedding}")
    round_s = node.feeds / delivery.audit_reads_per_s
    if round_s > ROUND_S:
        seen = f"node {node.id} has {node.feeds:,} feeds at delivery.audit_reads_per_s {delivery.audit_reads_per_s:g}"
        yield AUDIT_SLOW.found(seen, wanted=node.feeds / ROUND_S)
