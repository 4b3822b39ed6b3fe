"""The conversation list of a session: what it is attached to, and what not."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from pushpull.delivery.client_frames import Hello
from pushpull.model import ZERO_ID, Cid, ConversationSettings, Cursors, Mode, Row, Uid
from pushpull.node.cursor_news import CursorNews
from pushpull.node.listing import Listing
from pushpull.node.rows import row_fragment, row_json
from pushpull.store.values import RowRequest
from tests.delivery.words import ROOM, log_id
from tests.node.fakes import Bench, FakePeer, head, turns


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


class HeldConversations:
    """A list of one page, whose rows begin where the device says it stands, else at seq 2; read when a test says so."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.asked: list[RowRequest] = []
        self.following: Cid | None = None
        self.delivered_before: int | None = None

    async def listed(self, uid: Uid, *, after: Cid | None, limit: int) -> tuple[list[Cid], Cid | None]:
        return [ROOM], self.following

    async def rows(self, uid: Uid, wanted: list[RowRequest], **how: object) -> list[Row | None]:
        self.asked += wanted
        await self.go_on.wait()
        numbers = {"joined": 0, "delivered": 2, "read": 0, "unread": 3, "mentions": 0}
        state = head(3)
        return [
            Row(
                cid=each.cid,
                head=state,
                role="member",
                start=each.position or log_id(2),
                delivered_before=self.delivered_before,
                **numbers,
            )
            for each in wanted
        ]


def held_listing(bench: Bench) -> tuple[Listing, FakePeer, HeldConversations]:
    bench.log.put(3)
    conversations = HeldConversations()
    peer = bench.peer()
    store = SimpleNamespace(conversations=conversations, log=bench.log)
    parts: Any = SimpleNamespace(
        **vars(bench.parts) | {"store": store, "cursors": SimpleNamespace(move=lambda *who, **where: None)}
    )
    return Listing(parts, peer.session, Hello(device="d", positions={ROOM: log_id(1)})), peer, conversations


async def test_one_who_joins_what_is_being_listed_is_told_once_where_the_device_stands(bench: Bench) -> None:
    list_of, peer, conversations = held_listing(bench)
    listing_it = asyncio.create_task(list_of.page(None, None))
    await turns()
    joining = asyncio.create_task(list_of.join(ROOM))
    await turns()

    conversations.go_on.set()
    await asyncio.gather(listing_it, joining)

    assert [row["start"] for row in peer.connection.heard("sync")[0]["conversations"]] == [log_id(1)]
    assert peer.connection.heard("conversation") == []
    assert len(conversations.asked) == 1


async def test_one_who_joins_what_the_list_has_not_come_to_is_left_to_its_page(bench: Bench) -> None:
    list_of, peer, conversations = held_listing(bench)
    conversations.go_on.set()
    conversations.following = ROOM
    await list_of.page(None, None)

    await list_of.join(Cid("zoo"))
    assert [each.cid for each in conversations.asked] == [ROOM]
    conversations.following = None
    await list_of.page(ROOM, None)
    bench.log.entries[Cid("zoo")] = []
    bench.log.meta[Cid("zoo")] = {}
    await list_of.join(Cid("zoo"))

    assert [frame["change"] for frame in peer.connection.heard("conversation")] == ["joined"]


async def test_a_page_that_is_asked_for_again_says_where_the_device_is_known_to_stand(bench: Bench) -> None:
    list_of, peer, conversations = held_listing(bench)
    conversations.go_on.set()
    await list_of.page(None, None)
    await turns()
    place = peer.session.places[ROOM]
    assert (place.window.acked, place.window.sent) == (1, 3)

    await list_of.page(None, None)

    assert peer.connection.heard("sync")[1]["conversations"][0]["start"] == log_id(1)
    assert peer.session.places[ROOM] is place


async def test_a_feed_that_was_closed_while_its_row_was_read_is_opened_again(bench: Bench) -> None:
    list_of, peer, conversations = held_listing(bench)
    listing_it = asyncio.create_task(list_of.page(None, None))
    await turns()
    closed = bench.feeds.get(ROOM)
    assert closed is not None
    await bench.feeds.close([closed])

    conversations.go_on.set()
    await listing_it

    assert peer.session.places[ROOM] in (bench.feeds.get(ROOM) or closed).pushed
    assert bench.feeds.get(ROOM) is not closed


async def test_the_users_other_devices_are_told_where_a_position_moved_the_cursor(bench: Bench) -> None:
    list_of, peer, conversations = held_listing(bench)
    conversations.go_on.set()
    conversations.delivered_before = 1
    news = CursorNews(bench.peers, bench.abroad)
    list_of._parts.cursor_news = news
    feed = await bench.open()
    other = bench.attach(feed, at=3, uid=peer.session.uid)
    other.told = Cursors(1, 0, 3, 3)
    stranger = bench.attach(feed, at=3, uid="somebody else")

    await list_of.page(None, None)
    await news.tell_waiting()

    heard = [place.device.connection.heard("cursors") for place in (other, stranger, peer.session.places[ROOM])]
    assert [[frame["delivered"] for frame in frames] for frames in heard] == [[2], [], []]


async def test_places_share_the_ids_of_their_feed(bench: Bench) -> None:
    list_of, peer, conversations = held_listing(bench)
    conversations.go_on.set()
    feed = await bench.open()

    await list_of.page(None, None)

    assert peer.session.places[ROOM].cid is feed.cid


HEAD = head(5, floor=2, count=4)
ROW = {"cid": ROOM, "joined": 1, "delivered": 4, "read": 3, "unread": 1, "mentions": 0, "start": log_id(4)}


@pytest.mark.parametrize(
    "settings", [ConversationSettings(), ConversationSettings(data={"title": 'the "quoted" \n ☃', "n": [1, None]})]
)
def test_a_row_of_the_list_is_what_the_contract_says(settings: ConversationSettings) -> None:
    row = Row(head=replace(HEAD, settings=settings), role="moderator", **ROW)
    said = orjson.loads(orjson.dumps(row_fragment(row, Mode.NOTIFY, log_id(3))))
    data = {} if settings.data is None else {"data": settings.data}
    assert said == {
        "cid": "room", "epoch": "1", "head": 5, "floor": 2, "start": log_id(3), "delivered": 4, "read": 3, "joined": 1,
        "unread": 1, "count": 4, "mentions": 0, "mode": "notify", "notify": "all", "role": "moderator", **data,
    }  # fmt: skip
    assert row_json(row, Mode.NOTIFY) == {**said, "start": log_id(4)}
