"""Going away politely: every device is told, then closed one by one, so that they do not all come back at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

from pushpull.delivery import frames
from pushpull.delivery.codes import DRAINING
from pushpull.errors import PushpullError
from pushpull.node.parts import Parts
from pushpull.node.peers import Peers
from pushpull.node.pending import PendingTable
from pushpull.store.values import NodeRecord

log = logging.getLogger(__name__)

LONE_S: Final = 1.0
ASK_S: Final = 1.0  # Redis, who else is there
TOGETHER_S: Final = 0.3  # between the first and the last of several nodes that are told to go at once
GOODBYE_S: Final = 1.0  # for the answers to our close frames
LAST_WRITES_S: Final = 5.0  # where Redis is away: a cursor that is not written costs a redelivery, nothing else
FLUSH_PAUSE_S: Final = 0.1


async def close_all(parts: Parts, *, say: Callable[[], Awaitable[None]]) -> None:
    """Tell every device to go, close who has not gone at its turn, end who does not answer the close.

    `say` tells the other nodes that this one drains.
    """
    parts.draining = True
    seconds = await _seconds(parts, say)
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


async def write_what_waits(parts: Parts, pending: PendingTable) -> None:
    """The last appends, cursors and pending rows, as far as Redis takes them in time."""
    try:
        async with asyncio.timeout(LAST_WRITES_S):
            await parts.appender.finish()
            while True:
                if await parts.cursors.flush():
                    break
                await asyncio.sleep(FLUSH_PAUSE_S)
            await pending.flush()
    except TimeoutError:
        log.warning(
            "redis did not take the last cursors within %g s; their messages are delivered again", LAST_WRITES_S
        )


async def _seconds(parts: Parts, say: Callable[[], Awaitable[None]]) -> float:
    """`drain_s` spares the other nodes a storm; where there is no other, devices only wait for our successor."""
    seconds = parts.settings.server.drain_s
    try:
        async with asyncio.timeout(ASK_S):
            await say()
            others = await _others(parts)
    except (PushpullError, TimeoutError):
        return seconds
    return seconds if others else min(seconds, LONE_S)


async def _others(parts: Parts) -> list[NodeRecord]:
    """The nodes that stay. Those that go away at the same moment, as all workers of one process do, have said so."""
    if len(parts.store.nodes.known) > 1:
        await asyncio.sleep(TOGETHER_S)
    alive = await parts.store.nodes.alive()
    return [node for node in alive if node.id != parts.node_id and not node.info.get("draining")]


async def _empty_within(peers: Peers, seconds: float) -> None:
    """Wait that long, or until nobody is connected any more."""
    if seconds > 0:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await peers.empty.wait()
