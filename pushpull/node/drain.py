"""Going away politely: every device is told, then closed one by one, so that they do not all come back at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Final

from pushpull.delivery import frames
from pushpull.delivery.session import DRAINING
from pushpull.errors import PushpullError
from pushpull.node.parts import Parts
from pushpull.node.peers import Peers

log = logging.getLogger(__name__)

LONE_S: Final = 1.0
ASK_S: Final = 1.0  # Redis, who else is there
GOODBYE_S: Final = 1.0  # for the answers to our close frames


async def close_all(parts: Parts) -> None:
    """Tell every device to go, close who has not gone at its turn, end who does not answer the close."""
    parts.draining = True
    seconds = await _seconds(parts)
    peers = list(parts.peers)
    log.info("draining %s connections over %g s", len(peers), seconds)
    frame = frames.drain(after_ms=0, jitter_ms=int(seconds * 1000))
    for peer in peers:
        peer.write(frame)
    begun = time.monotonic()
    for n, peer in enumerate(peers, start=1):
        await _empty_within(parts.peers, begun + seconds * n / len(peers) - time.monotonic())
        peer.close(DRAINING, "the node is going away")
    await _empty_within(parts.peers, GOODBYE_S)
    for peer in parts.peers:
        peer.abort()


async def _seconds(parts: Parts) -> float:
    """`drain_s` spares the other nodes a storm; where there is no other, devices only wait for our successor."""
    seconds = parts.settings.server.drain_s
    try:
        async with asyncio.timeout(ASK_S):
            others = [node for node in await parts.store.presence.nodes() if node.id != parts.node_id]
    except (PushpullError, TimeoutError):
        return seconds
    return seconds if others else min(seconds, LONE_S)


async def _empty_within(peers: Peers, seconds: float) -> None:
    """Wait that long, or until nobody is connected any more."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(peers.empty.wait(), seconds)
