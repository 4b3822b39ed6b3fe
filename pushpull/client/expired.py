"""A send that the service refused as too old to tell whether it is a repetition.

The procedure of the contract: look for the cmid up to the head, and only if it is not there send under a new one.
Looked at are the newest messages back to the time of the first attempt; one that was redacted meanwhile is not
found, and is sent again.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Protocol
from uuid import uuid4

from pushpull.client.events import HistoryPage, Message
from pushpull.client.outbox import Outbox, Outgoing
from pushpull.errors import PushpullError
from pushpull.model import Cid, LogId, Sent

MARGIN_MS: Final = 60_000
"""The first attempt may be dated this much too late: the service's clock is only known by one `welcome`."""
PAGE: Final = 500


class ReadHistory(Protocol):
    def __call__(self, cid: str, *, before: int | None = None, limit: int = PAGE) -> Awaitable[HistoryPage]: ...


async def look_up(outgoing: Outgoing, outbox: Outbox, *, user: str, history: ReadHistory) -> None:
    """Find out what became of `outgoing`, which `outbox` holds, and settle it or let it go out under a new cmid."""
    try:
        found = await find(outgoing, user=user, history=history)
    except PushpullError as error:
        outbox.settle(outgoing, error=error)
        return
    if found is None:
        outbox.rename(outgoing, uuid4().hex)
    else:
        outbox.settle(outgoing, result=Sent(Cid(found.cid), found.cmid, LogId(found.id), True))


async def find(outgoing: Outgoing, *, user: str, history: ReadHistory) -> Message | None:
    """The stored message of this sender and cmid that is no older than the first attempt, or None."""
    oldest_ms = (outgoing.first_at or 0) - MARGIN_MS
    before: int | None = None
    while True:
        page = await history(outgoing.cid, before=before, limit=PAGE)
        for message in reversed(page.messages):
            if message.sender == user and message.cmid == outgoing.cmid:
                return message
        if not page.more or not page.messages or page.messages[0].ts < oldest_ms:
            return None
        before = page.messages[0].seq
