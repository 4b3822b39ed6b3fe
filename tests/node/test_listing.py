"""The conversation list of a session: what it is attached to, and what not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pushpull.delivery.frames import Hello
from pushpull.model import ZERO_ID, Cid, Row, Uid
from pushpull.node.listing import Listing
from pushpull.store.values import RowRequest
from tests.delivery.words import ROOM
from tests.node.fakes import Bench, FakePeer, head


class FakeConversations:
    """What each read of the rows finds, one after the other: the `mver` it is of, or None for no member any more."""

    def __init__(self, bench: Bench, *found: int | None) -> None:
        self._bench = bench
        self._found = list(found)
        self.forgotten: list[Cid] = []
        self.reads = 0

    async def listed(self, uid: Uid, *, after: Cid | None, limit: int) -> tuple[list[Cid], Cid | None]:
        return [ROOM], None

    async def rows(self, uid: Uid, wanted: list[RowRequest], **how: object) -> list[Row | None]:
        self.reads += 1
        mver = self._found.pop(0)
        if mver is None:
            return [None]
        # Meanwhile the feed has heard of a change and has checked who of the members is here.
        feed = self._bench.feeds.get(ROOM)
        assert feed is not None
        feed.head = head(0, mver=2)
        state = head(0, mver=mver)
        zeros = dict.fromkeys(("joined", "delivered", "read", "unread", "mentions"), 0)
        return [Row(cid=ROOM, head=state, role="member", start=ZERO_ID, **zeros)]

    async def forget_hint(self, uid: Uid, cids: list[Cid]) -> None:
        self.forgotten += cids


def listing(bench: Bench, conversations: FakeConversations) -> tuple[Listing, FakePeer]:
    peer = bench.peer()
    store = SimpleNamespace(conversations=conversations, log=bench.log)
    parts: Any = SimpleNamespace(**vars(bench.parts) | {"store": store})
    return Listing(parts, peer.session, Hello(device="d")), peer


@pytest.mark.parametrize(("found", "attached"), [((1, 2), True), ((1, None), False), ((2,), True)])
async def test_a_row_older_than_the_feeds_last_check_of_its_members_is_read_again(
    bench: Bench, found: tuple[int | None, ...], attached: bool
) -> None:
    conversations = FakeConversations(bench, *found)
    list_of, peer = listing(bench, conversations)

    await list_of.page(None, None)

    assert conversations.reads == len(found)
    assert (ROOM in peer.session.places) is attached
    assert len(peer.connection.heard("sync")[0]["conversations"]) == attached
