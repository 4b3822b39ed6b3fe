"""One running node: builds the parts, runs the tasks that keep them true, and is what the web layer talks to.

A message's way through here: `send` → appender → (store: append.lua, doorbell) → doorbell → live → feed → hub →
the sessions' connections; and back: ack → peer → session's window → cursor writer → store.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from msgspec.structs import replace

from pushpull.delivery.place import Connection, Place
from pushpull.delivery.policy import Decision, Focus
from pushpull.delivery.ruling import Ruling
from pushpull.delivery.window import Redelivery
from pushpull.errors import PushpullError, Unauthenticated
from pushpull.model import Cid, Claims, Cursors, Draft, Head, Row, Sent, Uid
from pushpull.node import drain, history, pending
from pushpull.node.abroad import Abroad
from pushpull.node.allowances import Allowances
from pushpull.node.appender import Appender, Outcome
from pushpull.node.attendance import Attendance
from pushpull.node.audit import Audit
from pushpull.node.away import Away
from pushpull.node.background import Background
from pushpull.node.chores import SWEEP_S, Chores
from pushpull.node.cursor_news import OWN_S, CursorNews
from pushpull.node.cursor_writer import CursorWriter
from pushpull.node.deletions import Deletions
from pushpull.node.doorbell import Doorbell
from pushpull.node.feeds import Feeds
from pushpull.node.heartbeat import BEAT_S, Heartbeat
from pushpull.node.history import PageAnswer
from pushpull.node.hub import Hub
from pushpull.node.live import Live
from pushpull.node.load import LoadMeter
from pushpull.node.log_reader import LogReader
from pushpull.node.metrics import Metrics
from pushpull.node.moves import move_cursors
from pushpull.node.moving import Moving
from pushpull.node.observation import Observation
from pushpull.node.overview import Overview
from pushpull.node.parts import Parts
from pushpull.node.peer import Authenticate, Peer
from pushpull.node.peers import Peers
from pushpull.node.pending import PendingTable
from pushpull.node.policy import Policy
from pushpull.node.readiness import Readiness, readiness_of
from pushpull.node.receipts import TELL_S, Receipts
from pushpull.node.redis_watch import RedisWatch
from pushpull.node.reporter import Reporter
from pushpull.node.revocations import Revocations
from pushpull.node.rows import row_json
from pushpull.node.signals import Signals
from pushpull.node.spans import Spans
from pushpull.node.trace import Tracer
from pushpull.node.traced_log import TracedLog
from pushpull.node.webhook import Webhook
from pushpull.settings import Settings
from pushpull.store.store import Store

log = logging.getLogger(__name__)

REDELIVERY_TICK_S: Final = 0.1
SESSION_TICK_S: Final = 1.0
LATE_SENDS_S: Final = 0.5
PENDING_S: Final = 0.2
HOUSEKEEPING_S: Final = 5.0
SWEEP_JITTER: Final = 0.01
AUDIT_JITTER: Final = 0.5
LEAVE_S: Final = 1.0  # then the node stays listed until its heartbeat is old


class Node:
    def __init__(
        self, settings: Settings, store: Store, webhook: Webhook | None = None, spans: Spans | None = None
    ) -> None:
        """`webhook`: who is told of users that are away; `spans`: who is told what messages do. None: nobody."""
        self.id = f"n-{uuid.uuid4().hex[:12]}"
        self.settings = settings = replace(settings)  # its own: the delivery settings in it change
        self.store = store
        self.metrics = Metrics()
        self._background = Background()
        store.watched_by(RedisWatch(self.metrics))
        self._doorbell = Doorbell(
            store.bells(), self._background, rung=lambda rings: self._live.rung(rings), metrics=self.metrics
        )
        reader = LogReader(
            store.log,
            self.metrics,
            changed=lambda feed, change: self._live.changed(feed, change),
            gone=lambda feed: self._live.gone(feed),
            lane=store.lane,
            spans=spans,
        )
        peers = Peers(settings.limits.connections)
        self._abroad = Abroad(self.id, store.presence, store.nodes, peers, self._background)
        self._cursor_news = CursorNews(peers, self._abroad)
        self._away = Away(store, webhook, self.metrics, settings, worker=self.id, mode_of=self.mode_of)
        feeds = Feeds(store.log, self._doorbell, settings, reader.mark_stale, lane=store.lane)
        hub = Hub(settings, self.metrics, feeds=feeds, reader=reader, background=self._background, spans=spans)
        receipts = Receipts(self.id, settings, self.metrics, feeds=feeds, reader=reader, relief=hub.relief)
        self.policy = Policy(settings, store.policy, changed=self._policy_changed)
        self.parts = Parts(
            node_id=self.id,
            policy=self.policy,
            settings=settings,
            store=store,
            metrics=self.metrics,
            background=self._background,
            peers=peers,
            allowances=Allowances(settings.limits, self.metrics),
            feeds=feeds,
            reader=reader,
            hub=hub,
            appender=Appender(
                self._away.log if spans is None else TracedLog(self._away.log, spans),
                self.metrics,
                waiting_max=settings.limits.waiting_sends,
                moved=self._cursor_news.moved,
                lane=store.lane,
                spans=spans,
            ),
            cursors=CursorWriter(
                store.cursors,
                self.metrics,
                self._background,
                flush_ms=settings.delivery.cursor_flush_ms,
                moved=self._cursor_news.moved,
                asked=receipts.asked,
                lane=store.lane,
            ),
            cursor_news=self._cursor_news,
            revocations=Revocations(store.presence),
            receipts=receipts,
            signals=Signals(store.signals, settings, self.metrics, feeds=feeds, reader=reader, relief=hub.relief),
            abroad=self._abroad,
            spans=spans,
        )
        self.attendance = Attendance(store.conversations, store.members, store.presence, hub.relief, settings)
        self._live = Live(self.parts)
        self._load = LoadMeter(self.parts)
        self._chores = Chores(self.parts, self._load)
        self._heartbeat = Heartbeat(self.parts, lag_s=lambda: self._load.lag_s)
        self.reporter = Reporter(self.parts, self._load)
        self.overview = Overview(store)
        self.moving = Moving(store, settings.limits)
        self.tracer = Tracer(self.parts, ruling_of=self.ruling_of)
        self._audit = Audit(feeds, store.log, self.metrics, settings, stale=reader.mark_stale, lane=store.lane)
        self._deletions = Deletions(store, self.metrics)
        self._pending = PendingTable(store)
        self._observation = Observation(self.parts, self._doorbell, offline=webhook is not None)
        self.parts.hub.redeliveries.note = self._note_redelivery
        self.parts.hub.settled_window = self._pending.drop

    # ------------------------------------------------------------------------------------------------ life

    async def start(self) -> None:
        """Subscribe, say that this node is here, start what runs by the clock. Raises StoreUnavailable."""
        self._observation.start(self._background)
        await self._doorbell.start(self.id)
        await self.policy.read()
        await self._heartbeat.beat()
        await self.reporter.say()
        repeat = self._background.repeat
        repeat(self.parts.hub.redeliveries.redeliver_due, every_s=REDELIVERY_TICK_S, name="redelivery")
        repeat(self.parts.hub.settle_full, every_s=REDELIVERY_TICK_S, name="full buffers")
        repeat(self._chores.refuse_late, every_s=LATE_SENDS_S, name="late sends")
        repeat(self._cursor_news.tell_waiting, every_s=OWN_S, name="cursor news")
        repeat(self.parts.receipts.tell_waiting, every_s=TELL_S, name="receipts")
        repeat(self._chores.ring_owed, every_s=SESSION_TICK_S, name="receipts that are owed")
        repeat(self._chores.tick_sessions, every_s=SESSION_TICK_S, name="session tick")
        repeat(self._heartbeat.beat, every_s=BEAT_S, name="heartbeat")
        repeat(self.reporter.say, every_s=BEAT_S, name="report")
        repeat(self._chores.keep_house, every_s=HOUSEKEEPING_S, name="housekeeping")
        repeat(self._chores.sweep, every_s=SWEEP_S, jitter=SWEEP_JITTER, name="retention sweep")
        for work, name, share in (
            (self._audit.round, "audit", 1.0),
            # One question, and looking up what it finds takes a while: both are to be over within the interval.
            (self._live.announcements.check, "announcements audit", 0.5),
            (self.policy.read, "policy audit", 1.0),
        ):
            repeat(work, every_s=partial(self._audit_s, share), jitter=AUDIT_JITTER, name=name)
        repeat(self._pending.flush, every_s=PENDING_S, name="pending table")
        self._deletions.start(self._background)
        self._away.start(self._background)

    async def drain(self) -> None:
        """Go away politely: let the devices go, then write what waits."""
        await drain.close_all(self.parts, say=self._heartbeat.beat)
        await drain.write_what_waits(self.parts, self._pending)
        await self._away.finish()

    async def stop(self) -> None:
        """End every task and leave the registry. The store is the caller's to close."""
        self._observation.stop()
        await self._background.stop()
        await self._away.stop()
        await self._doorbell.stop()
        try:
            async with asyncio.timeout(LEAVE_S):
                await self.store.nodes.leave(self.id)
        except (PushpullError, TimeoutError) as problem:
            log.debug("node stays listed until its heartbeat is old: %s", type(problem).__name__)

    # ------------------------------------------------------------------------------------------------ sessions

    def connect(
        self,
        connection: Connection,
        authenticate: Authenticate,
        *,
        claims: Claims | None = None,
    ) -> Peer | None:
        """A socket was opened. None: this node is full or draining, refuse it."""
        if self.parts.draining or self.parts.peers.full:
            reason = "draining" if self.parts.draining else "full"
            self.metrics.refused_connects.labels(reason).inc()
            return None
        return Peer(self.parts, connection, authenticate, claims=claims)

    async def check_revoked(self, uid: Uid, issued_at: float | None) -> None:
        """Raise Unauthenticated(token_revoked) for a token issued before the user's `revoked_before`."""
        before = await self.parts.revocations.before(uid)
        if before is not None and (issued_at is None or issued_at < before):
            raise Unauthenticated("the token was revoked", reason="token_revoked")

    # ------------------------------------------------------------------------------------------------ calls

    async def send(self, draft: Draft) -> Sent:
        """Append one message. Raises PushpullError."""
        sent = await self.parts.appender.append(draft)
        if sent.moved is not None and draft.sender is not None:
            self._abroad.moved_by_call(draft.cid, draft.sender, sent.moved)
        return sent

    async def send_many(self, drafts: Sequence[Draft]) -> list[Outcome]:
        """Append several; one outcome each, in order."""
        taken = [self.parts.appender.submit(draft) for draft in drafts]
        return [await future for future in taken]

    async def page(
        self, cid: Cid, *, after: int | None, before: int | None, limit: int, reader: Uid | None
    ) -> PageAnswer:
        """A page forward (`after`) or backward (`before`, or neither: the newest). Raises PushpullError."""
        if after is not None:
            return await history.forward(self.parts, cid, after, limit=limit, reader=reader)
        return await history.backward(self.parts, cid, before, limit=limit, reader=reader)

    def ruling_of(self, head: Head, cid: Cid) -> Ruling:
        """How sessions of this node get a conversation, and why."""
        feed = self.parts.feeds.get(cid)
        if feed is not None and feed.head.mver == head.mver:
            return feed.ruling
        return Ruling(members=head.members, own=head.settings, seq=head.seq, settings=self.settings.delivery)

    def mode_of(self, head: Head, cid: Cid) -> Decision:
        """The mode of those who say nothing of their screen."""
        return self.ruling_of(head, cid).of(Focus.UNSAID)

    def row_json(self, row: Row) -> dict[str, Any]:
        return row_json(row, self.mode_of(row.head, row.cid).mode)

    async def move_cursors(self, cid: Cid, uid: Uid, *, delivered: int | None, read: int | None) -> Cursors:
        """Move a member's cursors, clamped to the head and never back; returns them as they are now."""
        return await move_cursors(self.parts, cid, uid, delivered=delivered, read=read)

    async def pending(self, cid: Cid, *, user: Uid | None, min_idle_ms: int, limit: int | None) -> dict[str, Any]:
        """XPENDING's short form, or with `limit` the long one. Raises NoSuchConversation."""
        if limit is None:
            return await pending.summary(self.parts, cid, user)
        return {"rows": await pending.rows(self.parts, cid, user=user, min_idle_ms=min_idle_ms, limit=limit)}

    async def nodes(self) -> list[dict[str, Any]]:
        return [{"node": node.id, "age_ms": node.age_ms, **node.info} for node in await self.store.nodes.alive()]

    async def readiness(self) -> Readiness:
        return await readiness_of(self.store, self._doorbell, draining=self.parts.draining)

    # ------------------------------------------------------------------------------------------------ told by the parts

    def _audit_s(self, share: float) -> float:
        return self.settings.delivery.audit_interval_s * share

    def _policy_changed(self) -> None:
        delivery = self.settings.delivery
        self.store.log.inline_max_bytes = delivery.inline_max_bytes
        self.parts.cursors.flush_s = delivery.cursor_flush_ms / 1000
        self._background.spawn(self.parts.hub.ways.judge_all(), "policy change")

    def _note_redelivery(self, place: Place, due: Redelivery) -> None:
        if due.count == 1 or not place.noted:
            log.debug("redelivery %s of seqs %s to %s", due.count, due.after + 1, due.upto)
        self._pending.note(place)
