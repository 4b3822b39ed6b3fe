"""How the sessions of one user stand in one conversation, as their node knows it: read off what is in memory."""

from __future__ import annotations

import math
import time

from pushpull.delivery.place import Place
from pushpull.delivery.policy import Way
from pushpull.delivery.trace import PlaceFacts, Stand, WindowFacts
from pushpull.model import Cid, Mode, Uid
from pushpull.node.parts import Parts


def stands_of(parts: Parts, uid: Uid, cid: Cid) -> list[Stand]:
    """The user's sessions here, in no order; bounded by those it may have."""
    return [
        Stand(
            session=peer.session.id,
            buffered=peer.session.connection.buffered,
            place=None if place is None else _place(parts, place),
        )
        for peer in parts.peers.of(uid)
        for place in [peer.session.places.get(cid)]
    ]


def _place(parts: Parts, place: Place) -> PlaceFacts:
    feed = parts.feeds.get(place.cid)
    why, demoted = "its conversation is being closed", False
    if feed is not None:
        decision = feed.ruling.explained(place.focus)
        demoted = place.way is Way.NOTIFIED and decision.mode is Mode.PUSH
        why = feed.ruling.of_slow().why if demoted else decision.why
    return PlaceFacts(
        way=place.way.value,
        mode=place.mode.value,
        why=why,
        demoted=demoted,
        screen=place.focus.value,
        sent=place.window.sent,
        acked=place.window.acked,
        noticed=place.notified,
        catching_up=place.lagging or place.fetching,
        window=_window(place, time.monotonic(), time.time()),
    )


def _window(place: Place, now: float, wall: float) -> WindowFacts | None:
    window = place.window
    if not window.outstanding:
        return None
    waits = window.delivery_count > 0
    return WindowFacts(
        first=window.acked + 1,
        last=window.sent,
        delivery_count=window.delivery_count,
        first_sent=int((wall - (now - window.first_sent)) * 1000) if waits else None,
        deadline_ms=None if math.isinf(window.deadline) else int((window.deadline - now) * 1000),
    )
