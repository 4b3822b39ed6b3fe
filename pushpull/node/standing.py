"""Whether the sessions of this node still stand, asked when it may have missed what was said of them.

That is so when the control channel was cut, and when this node was silent for so long (paused, or without its Redis)
that the others had to take it for dead: then its rows may be off the users' tables, and devices of its may have opened
elsewhere. Each session is looked up: one that was kicked, replaced or whose token was revoked is closed, one that only
fell off the table enters again.

Bounded: CHUNK sessions of each lane at a time, in one pipeline. Lane by lane, since a shard that is away must not keep
those of the others alive that were ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeVar

from pushpull.delivery import codes
from pushpull.errors import PushpullError
from pushpull.node.opening import entered
from pushpull.node.parts import Parts
from pushpull.node.peers import Connected
from pushpull.store.values import SessionRecord, Standing

log = logging.getLogger(__name__)

CHUNK: Final = 256
RETRY_S: Final = 0.5

T = TypeVar("T")

_Entered = tuple[Connected, SessionRecord]


async def check(parts: Parts) -> None:
    """Look every session up, until Redis has answered for all."""
    lanes: dict[int, list[_Entered]] = {}
    for peer in parts.peers:
        if peer.record is not None:
            lanes.setdefault(parts.store.presence.lane(peer.record.uid), []).append((peer, peer.record))
    if lanes:
        log.info("looking up how %s sessions stand", sum(map(len, lanes.values())))
        await asyncio.gather(*(_check_lane(parts, entered) for entered in lanes.values()))


async def _check_lane(parts: Parts, entered: Sequence[_Entered]) -> None:
    for first in range(0, len(entered), CHUNK):
        chunk = entered[first : first + CHUNK]
        on_their_way = {record.id for peer, record in chunk if peer.entering}
        standings = await _answer(partial(parts.store.presence.standings, [record for _, record in chunk]))
        unlisted = [
            (peer, record)
            for (peer, record), standing in zip(chunk, standings, strict=True)
            if not _settled(parts, peer, record, standing)
        ]
        # One that is being entered finds its place by itself. Entered here, it would find the session of its device
        # that it is about to replace, and be closed as the older of the two.
        lost = [(peer, record) for peer, record in unlisted if record.id not in on_their_way]
        if lost:
            await _enter_again(parts, lost)


def _settled(parts: Parts, peer: Connected, record: SessionRecord, standing: Standing) -> bool:
    """Carry out what was missed. False: the session is on no table."""
    parts.revocations.forget(record.uid)
    if standing.revoked_before is not None:
        peer.revoked_before(standing.revoked_before)
    if standing.kicked:
        peer.close(codes.NOT_ALLOWED, codes.KICKED)
    elif standing.replaced:
        peer.close(codes.REPLACED, codes.REPLACED_BY_ANOTHER)
    else:
        parts.abroad.noted(record.uid, standing.elsewhere)
        return standing.listed
    return True


async def _enter_again(parts: Parts, lost: Sequence[_Entered]) -> None:
    outcomes = await _answer(partial(parts.store.presence.enter_again, [record for _, record in lost]))
    for (peer, record), outcome in zip(lost, outcomes, strict=True):
        if outcome is None:
            peer.close(codes.REPLACED, codes.REPLACED_BY_ANOTHER)
        elif isinstance(outcome, PushpullError):
            peer.close(codes.OVERLOADED, outcome.code)  # with a new connection it enters like any other
        elif parts.peers.get(record.id) is None:  # it went away meanwhile, before its row was there to be removed
            await _answer(partial(parts.store.presence.close_session, record.uid, record.id))
        else:
            entered(parts, peer.session, outcome)


async def _answer(ask: Callable[[], Awaitable[T]]) -> T:
    """Asked until Redis answers: a session that was ended must not live on for want of an answer."""
    while True:
        try:
            return await ask()
        except PushpullError as problem:
            log.warning("sessions cannot be looked up yet: %s", problem.message)
            await asyncio.sleep(RETRY_S)
