"""A node without Redis and without sockets: the log is a list, bells ring when a test says so, time is a number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from pushpull.delivery.place import Place
from pushpull.delivery.policy import Way
from pushpull.delivery.session import Session
from pushpull.errors import NoSuchConversation, PushpullError, StoreUnavailable
from pushpull.model import ZERO_ID, Cid, ConversationSettings, Entry, Goodbye, Head, LogId, Mode, SessionId, Uid, seq_of
from pushpull.node.abroad import Abroad
from pushpull.node.background import Background
from pushpull.node.cursor_news import CursorNews
from pushpull.node.feed import Feed
from pushpull.node.feeds import Feeds
from pushpull.node.hub import Hub
from pushpull.node.live import Live
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.parts import Parts
from pushpull.node.peers import Peers
from pushpull.node.receipts import Receipts
from pushpull.node.signals import Signals
from pushpull.settings import Delivery, Limits, Settings
from pushpull.store.signals import Said
from pushpull.store.values import (
    Announcement,
    Bell,
    LogRead,
    Opened,
    ReadRequest,
    SessionRecord,
    Standing,
    Verdict,
)
from tests.delivery.words import ROOM, Connection, entry, log_id


async def turns(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


def head(seq: int, **changes: Any) -> Head:
    fields: dict[str, Any] = {
        "epoch": "1",
        "last_id": log_id(seq),
        "floor": 1,
        "count": seq,
        "mver": 1,
        "rev": 0,
        "members": 2,
        "settings": ConversationSettings(),
    }
    return Head(**fields | changes)


def bell(upto: Entry, *, prev: LogId, **changes: Any) -> Bell:
    fields: dict[str, Any] = {
        "cid": ROOM,
        "id": upto.id,
        "prev": prev,
        "epoch": "1",
        "mver": 1,
        "floor": 1,
        "count": upto.seq,
        "entry": upto,
    }
    return Bell(**fields | changes)


class Clock:
    """Stands still until it is moved on. Put in the place of a module's `time` and of its `asyncio`."""

    Event = asyncio.Event

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, woken))
        await woken

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        async with asyncio.timeout(None) as limit:
            timer = asyncio.ensure_future(self._expire(limit, seconds))
            try:
                yield
            finally:
                timer.cancel()

    async def _expire(self, limit: asyncio.Timeout, seconds: float) -> None:
        await self.sleep(seconds)
        limit.reschedule(asyncio.get_running_loop().time())

    async def advance(self, seconds: float) -> None:
        """Move on, waking who is due on the way, each at its time."""
        end = self.now + seconds
        await turns()
        while due := [row for row in self._sleepers if row[0] <= end + 1e-9]:
            row = min(due, key=lambda row: row[0])
            self._sleepers.remove(row)
            self.now = max(self.now, row[0])
            if not row[1].done():
                row[1].set_result(None)
            await turns()
        self.now = end


class FakeLog:
    """The logs of a store: what a test has put there, and trouble when it asks for some."""

    def __init__(self) -> None:
        self.entries: dict[Cid, list[Entry]] = {ROOM: []}
        self.meta: dict[Cid, dict[str, Any]] = {ROOM: {}}
        self.problem: PushpullError | None = None
        self.common: LogId = ZERO_ID
        self.hold: asyncio.Event | None = None  # reads wait for it
        self.reads: list[tuple[Cid, int]] = []
        self.batches: list[int] = []
        self.epochs: list[str] = []

    def head(self, cid: Cid = ROOM) -> Head:
        last = self.entries[cid][-1] if self.entries[cid] else None
        return head(last.seq if last else 0, **({"last_id": last.id if last else ZERO_ID} | self.meta[cid]))

    def put(self, count: int, cid: Cid = ROOM, **changes: Any) -> list[Entry]:
        """Store `count` messages."""
        there = self.entries.setdefault(cid, [])
        self.meta.setdefault(cid, {})
        first = self.head(cid).seq + 1
        new = [entry(seq, **changes) for seq in range(first, first + count)]
        there.extend(new)
        return new

    async def _answer(self) -> None:
        await asyncio.sleep(0)
        if self.hold is not None:
            await self.hold.wait()
        if self.problem is not None:
            raise self.problem

    async def heads(self, cids: Sequence[Cid]) -> list[Head | None]:
        await self._answer()
        return [self.head(cid) if cid in self.entries else None for cid in cids]

    async def read_many(self, requests: Sequence[ReadRequest]) -> list[LogRead | PushpullError]:
        self.batches.append(len(requests))
        await self._answer()
        return [self._read(request) for request in requests]

    async def read(self, cid: Cid, *, after: int, limit: int, max_bytes: int) -> LogRead:
        self.reads.append((cid, after))
        await self._answer()
        found = self._read(ReadRequest(cid=cid, after=after, limit=limit, max_bytes=max_bytes))
        if isinstance(found, PushpullError):
            raise found
        return found

    def _read(self, request: ReadRequest) -> LogRead | PushpullError:
        cid, after = request.cid, request.after
        if cid not in self.entries:
            return NoSuchConversation(f"conversation {cid} does not exist")
        state = self.head(cid)
        if request.anchor is not None:
            verdict = self._verdict(cid, request.anchor, state)
            if verdict is Verdict.DIVERGED:
                return LogRead(state, (), verdict, self.common)
        else:
            verdict = Verdict.SAME
        there = [each for each in self.entries[cid] if each.seq > after and each.seq >= state.floor]
        return LogRead(state, tuple(there[: request.limit]), verdict, more=len(there) > request.limit)

    def _verdict(self, cid: Cid, anchor: LogId, state: Head) -> Verdict:
        at = seq_of(anchor)
        if at < state.floor - 1:
            return Verdict.TRIMMED
        known = {each.seq: each.id for each in self.entries[cid]}
        same = at == 0 or known.get(at) == anchor or (at == state.floor - 1 and at not in known)
        return Verdict.SAME if same else Verdict.DIVERGED

    async def move_epoch(self, cid: Cid, expected: str) -> str:
        await self._answer()
        self.epochs.append(expected)
        if self.head(cid).epoch == expected:
            self.meta[cid]["epoch"] = str(int(expected) + 1)
        return self.head(cid).epoch


class FakeMembers:
    """Everyone is a member but those who are named as gone."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.problem: PushpullError | None = None
        self.asked: list[list[Uid]] = []

    async def joined(self, cid: Cid, users: Sequence[Uid]) -> list[int | None]:
        self.asked.append(list(users))
        await asyncio.sleep(0)
        if self.problem is not None:
            raise self.problem
        return [None if uid in self.gone else 0 for uid in users]


class FakePresence:
    """The tables of users and nodes: what a test says became of its sessions, and what was announced."""

    def __init__(self) -> None:
        self.known = frozenset({"here"})
        self.fates: dict[SessionId, dict[str, Any]] = {}  # → fields of its Standing that differ from a good one's
        self.again: dict[SessionId, Opened | PushpullError | None] = {}
        self.entered_again: list[SessionId] = []
        self.closed: list[SessionId] = []
        self.announced: list[Announcement] = []
        self.last_number = 0  # of what was announced by all
        self.problems: list[PushpullError] = []  # for the next calls
        self.lanes: dict[Uid, int] = {}  # 0 where a user is not named
        self.away: set[int] = set()  # lanes that are not answered

    def _raise(self) -> None:
        if self.problems:
            raise self.problems.pop(0)

    def lane(self, uid: Uid) -> int:
        return self.lanes.get(uid, 0)

    async def announce(self, said: Announcement) -> None:
        self._raise()
        self.announced.append(said)

    async def last_announced(self) -> int:
        self._raise()
        return self.last_number

    async def standings(self, sessions: Sequence[SessionRecord]) -> list[Standing]:
        self._raise()
        if self.away & {self.lane(each.uid) for each in sessions}:
            raise StoreUnavailable("a shard is away")
        good: dict[str, Any] = {
            "revoked_before": None,
            "kicked": False,
            "replaced": False,
            "listed": True,
            "elsewhere": frozenset(),
        }
        return [Standing(**(good | self.fates.get(each.id, {}))) for each in sessions]

    async def enter_again(self, sessions: Sequence[SessionRecord]) -> list[Opened | PushpullError | None]:
        self._raise()
        self.entered_again += [each.id for each in sessions]
        return [self.again.get(each.id, Opened([], frozenset())) for each in sessions]

    async def close_session(self, uid: Uid, session: SessionId) -> None:
        self.closed.append(session)

    async def leave(self, session: SessionRecord, goodbye: Goodbye, *, at_ms: int) -> None:
        self.closed.append(session.id)


class FakeCrier:
    """Takes signals on their way to Redis, or refuses them."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.problem: PushpullError | None = None
        self.hold: asyncio.Event | None = None  # signals wait for it

    async def say(self, said: Said) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.problem is not None:
            raise self.problem
        self.said.append(said)


class Board:
    """Where bells are subscribed to: confirms at once, or when a test says so."""

    def __init__(self) -> None:
        self.feeds: Feeds | None = None
        self.silent = False
        self.subscribed: list[Cid] = []
        self.unsubscribed: list[Cid] = []

    async def subscribe(self, cids: Sequence[Cid]) -> None:
        self.subscribed += cids
        for cid in cids:
            if self.feeds is not None and not self.silent:
                asyncio.get_running_loop().call_soon(self.feeds.confirmed, cid)

    async def unsubscribe(self, cids: Sequence[Cid]) -> None:
        self.unsubscribed += cids


class FakePeer:
    """A connected device as the node reaches it."""

    def __init__(self, session: Session, hub: Hub) -> None:
        self.session = session
        self.connection: Connection = session.connection  # type: ignore[assignment]
        self._hub = hub
        self.record: SessionRecord | None = SessionRecord(
            id=session.id, uid=session.uid, device=session.device, node="here", client="", connected_at_ms=0
        )
        self.entering = False
        self.joins: list[Cid] = []
        self.list_checks = 0
        self.left: list[tuple[Cid, str]] = []
        self.revoked: list[float] = []
        self.problem: PushpullError | None = None

    def write(self, data: bytes) -> None:
        self.connection.write(data)

    def close(self, code: int, reason: str) -> None:
        self.connection.close(code, reason)

    def tick(self, now: float) -> None: ...

    async def join(self, cid: Cid) -> None:
        self.joins.append(cid)
        if self.problem is not None:
            raise self.problem

    async def check_list(self) -> None:
        self.list_checks += 1
        if self.problem is not None:
            raise self.problem

    def leave(self, cid: Cid, change: str) -> None:
        self.left.append((cid, change))
        place = self.session.detach(cid)
        if place is not None:
            self._hub.detach(place)

    def revoked_before(self, ts: float) -> None:
        self.revoked.append(ts)


def way_of(feed: Feed, place: Place) -> Way:
    """The way the feed serves its pushed, or its notified places in."""
    decided = feed.decision.way
    if decided.mode is place.mode:
        return decided
    return Way.PUSHED if place.mode is Mode.PUSH else Way.NOTIFIED


class FakePolicy:
    """Counts how often the policy was read again."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self) -> None:
        self.reads += 1


class Bench:
    """The parts of a node that deliver, over a FakeLog. `places[n]` is the n-th device's, `said[n]` its connection."""

    def __init__(self, *, delivery: Mapping[str, Any] | None = None, limits: Mapping[str, Any] | None = None) -> None:
        self.settings = Settings(delivery=Delivery(**(delivery or {})), limits=Limits(**(limits or {})))
        self.log, self.members, self.board = FakeLog(), FakeMembers(), Board()
        self.metrics, self.background = Metrics(), Background()
        self.forgotten: list[Uid] = []
        self.presence = FakePresence()
        self.crier = FakeCrier()
        self.reader = LogReader(
            self.log,
            self.metrics,
            changed=lambda feed, change: self.live.changed(feed, change),
            gone=lambda feed: self.live.gone(feed),
        )
        self.feeds = Feeds(self.log, self.board, self.settings, self.reader.mark_stale)
        self.board.feeds = self.feeds
        self.hub = Hub(self.settings, self.metrics, feeds=self.feeds, reader=self.reader, background=self.background)
        self.receipts = Receipts(
            "here", self.settings, self.metrics, feeds=self.feeds, reader=self.reader, relief=self.hub.relief
        )
        self.peers = Peers(100)
        self.abroad = Abroad("here", self.presence, self.presence, self.peers, self.background)
        parts: Any = SimpleNamespace(
            feeds=self.feeds,
            reader=self.reader,
            hub=self.hub,
            background=self.background,
            peers=self.peers,
            metrics=self.metrics,
            settings=self.settings,
            policy=FakePolicy(),
            store=SimpleNamespace(log=self.log, members=self.members, presence=self.presence),
            abroad=self.abroad,
            spans=None,
            cursor_news=CursorNews(self.peers, self.abroad),
            revocations=SimpleNamespace(forget=self.forgotten.append),
            receipts=self.receipts,
            signals=Signals(
                self.crier,
                self.settings,
                self.metrics,
                feeds=self.feeds,
                reader=self.reader,
                relief=self.hub.relief,
            ),
        )
        self.parts: Parts = parts
        self.live = Live(parts)
        self.places: list[Place] = []
        self.said: list[Connection] = []

    async def open(self, cid: Cid = ROOM) -> Feed:
        return (await self.feeds.open([cid]))[cid]

    def peer(self, uid: str = "", *, features: str = "") -> FakePeer:
        """A device that has said hello, and asked for these features."""
        n = len(self.peers.connected)
        session = Session(SessionId(f"s{n}"), Connection(), settings=self.settings, now=0.0)
        session.receive(f'{{"type":"hello","device":"d{n}","features":["{features}"]}}', 0.0)
        session.opened(Uid(uid or f"u{n}"), expires_at=None)
        peer = FakePeer(session, self.hub)
        self.peers.connect(peer)
        self.peers.open(peer)
        return peer

    def attach(
        self, feed: Feed, *, at: int | None = None, mode: Mode | None = None, uid: str = "", features: str = ""
    ) -> Place:
        """A device that stands at `at`, or at the head."""
        start = feed.tail.head if at is None else at
        session = self.peer(uid, features=features).session
        place = session.attach(feed.cid, log_id(start), mode or feed.mode)
        place.way = way_of(feed, place)
        feed.add(place)
        self.places.append(place)
        self.said.append(session.connection)  # type: ignore[arg-type]
        return place

    def ring(self, entries: Sequence[Entry], feed: Feed) -> None:
        """The bells of these entries, which are in the log already, one after the other."""
        for each in entries:
            self.live.rung([self.bell_of(each, feed)])

    def bell_of(self, each: Entry, feed: Feed) -> Bell:
        state = self.log.head(feed.cid)
        known = {at.seq: at.id for at in self.log.entries[feed.cid]}
        prev = known.get(each.seq - 1, ZERO_ID if each.seq == 1 else LogId(""))
        return bell(each, prev=prev, cid=feed.cid, floor=state.floor, mver=state.mver, epoch=state.epoch)

    def say(self, feed: Feed, count: int = 1, **changes: Any) -> list[Entry]:
        """Store `count` messages and ring their bells."""
        new = self.log.put(count, feed.cid, **changes)
        self.ring(new, feed)
        return new

    def ack(self, place: Place, seq: int, *, now: float = 0.0) -> None:
        """The device acks up to `seq`."""
        if place.window.ack(seq, now=now, settings=self.settings.delivery):
            self.hub.acked(place)

    async def stop(self) -> None:
        await self.background.stop()
