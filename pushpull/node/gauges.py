"""What of a node is looked up when its metrics are asked for: nothing here may take long, or ask Redis."""

from __future__ import annotations

from pushpull.node.doorbell import Doorbell
from pushpull.node.parts import Parts


def show_gauges(parts: Parts, doorbell: Doorbell) -> None:
    """Register them with the node's metrics."""
    show, limits = parts.metrics.show, parts.settings.limits
    show("connections", "WebSockets, with an open session or not yet", lambda: len(parts.peers.connected))
    show("connections_max", "limits.connections", lambda: limits.connections)
    show("waiting_sends_max", "limits.waiting_sends", lambda: limits.waiting_sends)
    show("waiting_cursors", "Cursor moves that are not written yet", lambda: parts.cursors.waiting)
    show("stale_feeds", "Feeds whose log is to be read", lambda: parts.reader.stale)
    show("full_buffers", "Places whose next batch waits for room in the device's buffer", lambda: parts.hub.held_up)
    show("doorbell_ok", "1: probes come back through pub/sub, from every shard", lambda: doorbell.hears)
    show("nodes", "Nodes that live, as this one sees it", lambda: len(parts.store.nodes.known))
    show("draining", "1: this node is going away", lambda: parts.draining)
