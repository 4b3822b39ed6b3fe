"""One connection of a device: the pure session, its socket, and the work its decisions ask for.

Frames go in by `received`, in order; the decisions for them are carried out in order too. What needs the log runs
as a task; a connection has at most TASKS_MAX of those, one more is refused with `rate_limited`.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from pushpull.delivery import frames
from pushpull.delivery import session as protocol
from pushpull.delivery.session import Connection, Place, Session
from pushpull.delivery.window import Window
from pushpull.errors import Invalid, PushpullError, RateLimited, StoreUnavailable, Unauthenticated
from pushpull.model import Cid, Claims, SessionId, seq_of
from pushpull.node import history
from pushpull.node.appender import Outcome
from pushpull.node.listing import Listing
from pushpull.node.parts import Parts
from pushpull.store.values import SessionRecord

log = logging.getLogger(__name__)

TASKS_MAX: Final = 32
WAITING_MAX: Final = 256  # frames that came while the token was being checked
SEND_AHEAD_ACK_DELAY_MS: Final = 200
ACK_MAX: Final = 64


Authenticate = Callable[[str], Awaitable[Claims]]
"""Check a token. Raises Unauthenticated with its reason."""


class Peer:
    def __init__(
        self, parts: Parts, connection: Connection, authenticate: Authenticate, *, identity: Claims | None = None
    ) -> None:
        """`identity`: the upgrade's own token was good, so the hello needs none."""
        self._parts = parts
        self._authenticate = authenticate
        self._identity = identity
        self.session = Session(
            SessionId(uuid.uuid4().hex),
            connection,
            settings=parts.settings,
            now=time.monotonic(),
            authenticated=identity is not None,
        )
        self._connection = connection
        self._waiting: deque[str | bytes] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listing: Listing | None = None
        self._client = ""
        self._issued_at: float | None = None
        self._opened_at_ms = 0
        parts.peers.connect(self)

    # ------------------------------------------------------------------------------------------------ the socket

    def received(self, text: str | bytes) -> None:
        """One text frame came."""
        if self.session.phase is protocol.Phase.CHECKING:
            self._waiting.append(text)
            if len(self._waiting) > WAITING_MAX:
                self.close(protocol.BAD_FRAME, f"{WAITING_MAX} frames before the welcome")
            return
        for decision in self.session.receive(text, time.monotonic()):
            self._carry_out(decision)

    def lost(self) -> None:
        """The connection is gone, whoever ended it."""
        session = self.session
        self._parts.peers.drop(self)
        was_open = session.uid != ""
        session.phase = protocol.Phase.CLOSED
        for place in session.places.values():
            self._parts.hub.detach(place)
        session.places.clear()
        for task in self._tasks:
            task.cancel()
        if was_open:
            self._parts.metrics.sessions.set(len(self._parts.peers))
            self._parts.background.spawn(self._forget_presence(), "forget session")

    def close(self, code: int, reason: str) -> None:
        self.session.close(code, reason)
        self._connection.close(code, reason)

    def write(self, data: bytes) -> None:
        self.session.last_sent = time.monotonic()
        self._connection.write(data)

    def tick(self, now: float) -> None:
        if self._connection.stalled_s(now) > self._parts.settings.limits.stall_s:
            self._connection.abort()
            return
        due = self.session.tick(now)
        if isinstance(due, protocol.Close):
            self._connection.close(due.code, due.reason)
        elif due is not None:
            self._connection.write(due.data)

    # ------------------------------------------------------------------------------------------------ decisions

    def _carry_out(self, decision: protocol.Decision) -> None:
        match decision:
            case protocol.Acked(place):
                self._acked(place)
            case protocol.Submit():
                self._submit(decision)
            case protocol.Reply(data):
                self.write(data)
            case protocol.Fetch():
                self._start(self._fetch(decision), decision.rid, cid=decision.place.cid)
            case protocol.ReadTo():
                self._read_to(decision)
            case protocol.List(after, rid):
                self._start(self._list(after, rid), rid)
            case protocol.Authenticate(hello):
                self._start(self._open(hello), hello.rid)
            case protocol.Renew(token):
                self._start(self._renew(token), None)
            case protocol.Close(code, reason):
                self._connection.close(code, reason)

    def _start(self, work: Coroutine[Any, Any, None], rid: frames.Rid, *, cid: str | None = None) -> None:
        if len(self._tasks) >= TASKS_MAX:
            work.close()
            problem = RateLimited(f"{TASKS_MAX} requests of this connection are under way", retry_after_ms=200)
            self.write(frames.error(problem, rid=rid, cid=cid))
            return
        task = self._parts.background.spawn(self._guarded(work, rid, cid), f"session {self.session.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None], rid: frames.Rid, cid: str | None) -> None:
        try:
            await work
        except PushpullError as problem:
            if self.session.phase is protocol.Phase.OPEN:
                self.write(frames.error(problem, rid=rid, cid=cid))
            else:
                self.close(protocol.OVERLOADED, problem.code)

    # ------------------------------------------------------------------------------------------------ opening

    async def _open(self, hello: frames.Hello) -> None:
        try:
            identity = await self._identify(hello.token)
        except Unauthenticated as problem:
            self.close(protocol.NOT_AUTHENTICATED, problem.reason)
            return
        if self.session.phase is not protocol.Phase.CHECKING:
            return
        self.session.opened(identity.uid, expires_at=_on_loop_clock(identity.expires_at))
        self._client = hello.client[:128]
        self._issued_at = identity.issued_at
        self._parts.peers.open(self)
        self._parts.metrics.sessions.set(len(self._parts.peers))
        await self._note_presence()
        self.write(frames.welcome(self._welcome(identity), hello.rid))
        self._listing = Listing(self._parts, self.session, hello)
        await self._listing.page(None, None)
        while self._waiting:
            self.received(self._waiting.popleft())

    async def _identify(self, token: str | None) -> Claims:
        if token is None:
            if self._identity is None:
                raise Unauthenticated("no token in hello nor at the upgrade")
            return self._identity
        identity = await self._authenticate(token)
        if self._identity is not None and identity.uid != self._identity.uid:
            raise Unauthenticated("the tokens of upgrade and hello are of two users")
        return identity

    async def _renew(self, token: str) -> None:
        try:
            identity = await self._authenticate(token)
        except Unauthenticated as problem:
            self.close(protocol.NOT_AUTHENTICATED, problem.reason)
            return
        refused = self.session.renewed(identity.uid, expires_at=_on_loop_clock(identity.expires_at))
        self._issued_at = identity.issued_at
        if refused is not None:
            self._connection.close(refused.code, refused.reason)

    def _welcome(self, identity: Claims) -> dict[str, Any]:
        settings = self._parts.settings
        fields: dict[str, Any] = {
            "session": self.session.id,
            "user": self.session.uid,
            "device": self.session.device,
            "node": self._parts.node_id,
            "time": int(time.time() * 1000),
            "heartbeat_s": protocol.HEARTBEAT_S,
            "features": [],
            "ack": {
                "delay_ms": min(SEND_AHEAD_ACK_DELAY_MS, settings.delivery.ack_wait_ms // 4),
                "max": max(1, min(ACK_MAX, settings.delivery.max_ack_pending // 4)),
            },
            "limits": {
                "frame_bytes": settings.limits.frame_bytes,
                "body_bytes": settings.limits.body_bytes,
                "mentions": settings.limits.mentions,
                "page": frames.PULL_MAX,
                "sends_per_s": settings.limits.sends_per_s,
                "frames_per_s": settings.limits.frames_per_s,
                "idempotency_s": settings.idempotency.window_s,
            },
        }
        if identity.expires_at is not None:
            fields["expires_at"] = int(identity.expires_at * 1000)
        return fields

    async def _note_presence(self) -> None:
        session = self.session
        self._opened_at_ms = int(time.time() * 1000)
        replaced = await self._parts.store.presence.open_session(self.record())
        for record in replaced:
            peer = self._parts.peers.get(record.id)
            if peer is not None:
                peer.close(protocol.REPLACED, "replaced by another connection")
            elif record.id != session.id:
                await self._parts.store.presence.kick(record.uid, record.id)

    async def _forget_presence(self) -> None:
        try:
            await self._parts.store.presence.close_session(self.session.uid, self.session.id)
        except PushpullError as problem:
            log.debug("session stays listed until its node is seen to be gone: %s", problem.message)

    def record(self) -> SessionRecord:
        return SessionRecord(
            id=self.session.id,
            uid=self.session.uid,
            device=self.session.device,
            node=self._parts.node_id,
            client=self._client,
            connected_at_ms=self._opened_at_ms,
        )

    # ------------------------------------------------------------------------------------------------ the list

    async def _list(self, after: Cid | None, rid: frames.Rid) -> None:
        if self._listing is not None:
            await self._listing.page(after, rid)

    async def join(self, cid: Cid) -> None:
        """The user became a member of `cid` while connected."""
        if self._listing is not None and cid not in self.session.places:
            await self._listing.join(cid)

    async def check_list(self) -> None:
        """Announcements may have been missed: attach to what was joined meanwhile. (`left` is found by the feeds.)"""
        if self._listing is not None:
            await self._listing.catch_up()

    def revoked_before(self, ts: float) -> None:
        """Tokens issued before `ts` (s since 1970) are refused from now on."""
        if self._issued_at is None or self._issued_at < ts:
            self.close(protocol.NOT_AUTHENTICATED, "token_revoked")

    def leave(self, cid: Cid, change: str) -> None:
        """The user is no member of `cid` any more, or it is deleted: nothing more of it goes out."""
        place = self.session.detach(cid)
        if place is not None:
            self._parts.hub.detach(place)
            self.write(frames.conversation(cid, change))

    # ------------------------------------------------------------------------------------------------ messages

    def _submit(self, decision: protocol.Submit) -> None:
        draft = decision.draft
        future = self._parts.appender.submit(draft)

        def answer(done: asyncio.Future[Outcome]) -> None:
            if done.cancelled() or self.session.phase is not protocol.Phase.OPEN:
                return
            outcome = done.result()
            if isinstance(outcome, PushpullError):
                self.write(frames.error(outcome, rid=decision.rid, cid=draft.cid, cmid=draft.cmid))
            else:
                self.write(frames.sent(outcome, decision.rid))

        future.add_done_callback(answer)

    def _acked(self, place: Place) -> None:
        self._parts.cursors.move(place.cid, self.session.uid, delivered=self._acked_id(place))
        self._parts.hub.acked(place)

    def _acked_id(self, place: Place) -> str:
        """The log id the ack means; where it is not at hand, the end of the last whole frame below it."""
        window: Window = place.window
        if seq_of(window.acked_id) == window.acked:
            return window.acked_id
        feed = self._parts.feeds.get(place.cid)
        return (feed.tail.id_of(window.acked) if feed is not None else None) or window.acked_id

    def _read_to(self, decision: protocol.ReadTo) -> None:
        feed = self._parts.feeds.get(decision.cid)
        if feed is not None and decision.seq <= feed.tail.head:
            at = feed.tail.id_of(decision.seq) or str(decision.seq)
            self._parts.cursors.move(decision.cid, self.session.uid, read=at)
        else:
            self._start(self._read_past_head(decision), decision.rid, cid=decision.cid)

    async def _read_past_head(self, decision: protocol.ReadTo) -> None:
        await self._require_head(decision.cid, decision.seq)
        self._parts.cursors.move(decision.cid, self.session.uid, read=str(decision.seq))

    async def _require_head(self, cid: Cid, seq: int) -> None:
        """`seq` is above what this node has seen: it was stored a moment ago, or never (Invalid)."""
        head = (await self._parts.store.log.heads([cid]))[0]
        if head is None or seq > head.seq:
            raise Invalid(f"cursor {seq} is past the head {head.seq if head else 0}")

    async def _fetch(self, decision: protocol.Fetch) -> None:
        if decision.after is None:
            await self._fetch_backward(decision)
        else:
            await self._fetch_forward(decision, decision.after)

    async def _fetch_forward(self, decision: protocol.Fetch, after: int) -> None:
        place, parts = decision.place, self._parts
        feed = parts.feeds.get(place.cid)
        if feed is None:
            return
        if feed.held:
            raise StoreUnavailable("the log is being re-read: pull again", retry_after_ms=500)
        if place.fetching:
            raise RateLimited(f"a forward pull of {place.cid} is under way: one at a time", retry_after_ms=100)
        place.fetching = True
        try:
            if after > feed.tail.head:
                await self._require_head(feed.cid, after)
            page = await parts.reader.page(
                feed, max(after, place.oldest - 1), limit=decision.limit, max_bytes=parts.settings.delivery.page_bytes
            )
        finally:
            place.fetching = False
        if self.session.places.get(place.cid) is not place:
            return
        parts.hub.trimmed(feed, place)
        parts.metrics.pulls.inc()
        self.write(
            frames.messages(
                feed.cid, after, page.upto, page.upto_id, page.items, head=feed.tail.head, floor=feed.head.floor
            )
        )
        parts.hub.pulled(feed, place, page)

    async def _fetch_backward(self, decision: protocol.Fetch) -> None:
        answer = await history.backward(
            self._parts,
            decision.place.cid,
            decision.before,
            limit=decision.limit,
            reader=self.session.uid,
            rid=decision.rid,
        )
        self.write(answer.body)


def _on_loop_clock(expires_at: float | None) -> float | None:
    """s since 1970 → the monotonic clock of the session's `now`."""
    return None if expires_at is None else time.monotonic() + (expires_at - time.time())
