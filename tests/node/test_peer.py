"""One connection, from its first frame on."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from pushpull.delivery.codes import BAD_FRAME
from pushpull.node.peer import WAITING_MAX, Peer
from tests.delivery.words import Connection, text
from tests.node.fakes import Bench, turns


async def never(token: str) -> NoReturn:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def test_one_that_talks_on_before_it_is_known_is_closed_and_heard_no_more(bench: Bench) -> None:
    connection = Connection()
    peer = Peer(bench.parts, connection, never)
    peer.received(text("hello", device="d", token="t"))
    await turns()

    for _ in range(2 * WAITING_MAX):
        peer.received(text("ping"))

    assert connection.closed is not None
    assert connection.closed[0] == BAD_FRAME
    assert len(peer._waiting) == WAITING_MAX + 1  # the one too many is the last
    peer.lost()
