"""From a checked hello to an open session: who it is, what it replaces, what it is told first."""

from __future__ import annotations

import time
from typing import Any, Final

from pushpull.delivery import client_frames, codes, liveness
from pushpull.delivery import session as protocol
from pushpull.delivery.allowance import SIGNALS_PER_S
from pushpull.delivery.session import Session
from pushpull.model import Claims
from pushpull.node.parts import Parts
from pushpull.settings import Settings
from pushpull.store.values import Opened, SessionRecord

ACK_DELAY_MS: Final = 200  # acks may wait this long for others: it costs the sender's view of `delivered` that much
ACK_MAX: Final = 64


def welcome(parts: Parts, session: Session, claims: Claims) -> dict[str, Any]:
    """The fields of `welcome`."""
    fields: dict[str, Any] = {
        "session": session.id,
        "user": session.uid,
        "device": session.device,
        "node": parts.node_id,
        "time": int(time.time() * 1000),
        "heartbeat_s": liveness.HEARTBEAT_S,
        "features": list(session.features),
        "ack": _acking(parts.settings),
        "limits": _limits(parts.settings),
    }
    if claims.expires_at is not None:
        fields["expires_at"] = int(claims.expires_at * 1000)
    return fields


def _acking(settings: Settings) -> dict[str, int]:
    """How long and for how many messages an ack may wait: well before it is missed, well before the window is full."""
    delivery = settings.delivery
    return {
        "delay_ms": min(ACK_DELAY_MS, delivery.ack_wait_ms // 4),
        "max": max(1, min(ACK_MAX, delivery.max_ack_pending // 4)),
    }


def _limits(settings: Settings) -> dict[str, float]:
    limits = settings.limits
    return {
        "frame_bytes": limits.frame_bytes,
        "body_bytes": limits.body_bytes,
        "mentions": limits.mentions,
        "page": client_frames.PULL_MAX,
        "frames_per_s": limits.frames_per_s,
        "sends_per_s": limits.sends_per_s,
        "signal_bytes": protocol.SIGNAL_BYTES,
        "signals_per_s": SIGNALS_PER_S,
        "idempotency_s": settings.idempotency.window_s,
    }


def record_of(parts: Parts, session: Session, client: str) -> SessionRecord:
    """The session as every node can look it up."""
    return SessionRecord(
        id=session.id,
        uid=session.uid,
        device=session.device,
        node=parts.node_id,
        client=client,
        connected_at_ms=int(time.time() * 1000),
    )


def entered(parts: Parts, session: Session, opened: Opened) -> None:
    """The session is on its user's table: end those of this node that it replaces."""
    for replaced in opened.replaced:
        peer = parts.peers.get(replaced.id)
        if peer is not None:
            peer.close(codes.REPLACED, codes.REPLACED_BY_ANOTHER)
    parts.abroad.opened(session.uid, opened.elsewhere)


def on_loop_clock(expires_at: float | None) -> float | None:
    """s since 1970 → the monotonic clock of the session's `now`."""
    return None if expires_at is None else time.monotonic() + (expires_at - time.time())
