"""Those who wait for their message to be stored."""

from __future__ import annotations

import asyncio

import msgspec

from pushpull.client.outbox import Outbox, Outgoing
from pushpull.client.sender import Sender


async def test_a_message_that_a_failover_takes_away_before_its_sender_has_seen_that_it_was_stored_is_waited_for() -> (
    None
):
    outbox = Outbox()
    sender = Sender(outbox, wake=lambda: None, on_unsent=lambda unsent: None)
    sending = asyncio.create_task(sender.send(Outgoing("c", "m", msgspec.Raw(b"1"))))
    await asyncio.sleep(0)
    outbox.take(now=0.0, now_ms=0)

    outbox.on_sent("c", "m", "5-1", dup=False)  # `sent` and `reset` came in one read
    outbox.return_above("c", 3)
    await asyncio.sleep(0)
    outbox.take(now=0.0, now_ms=0)
    outbox.on_sent("c", "m", "4-2", dup=False)

    assert (await sending).id == "4-2"
