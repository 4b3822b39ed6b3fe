"""One connection of a device: the pure session, its socket, and the work its decisions ask for.

Frames go in by `received`, in order; the decisions for them are carried out in order too. What needs the log runs
as a task; a connection has at most TASKS_MAX of those, one more is refused with `rate_limited`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

from pushpull.delivery import client_frames, codes, decisions, frames
from pushpull.delivery import session as protocol
from pushpull.delivery.place import Connection
from pushpull.delivery.session import Session
from pushpull.errors import PushpullError, RateLimited, Unauthenticated
from pushpull.model import LINE_LOST, Cid, Claims, SessionId
from pushpull.node.listing import Listing
from pushpull.node.metrics import CUT
from pushpull.node.opening import entered, on_loop_clock, record_of, welcome
from pushpull.node.parts import Parts
from pushpull.node.requests import Requests
from pushpull.store.values import Opened, SessionRecord

log = logging.getLogger(__name__)

TASKS_MAX: Final = 32
WAITING_MAX: Final = 256  # frames that came before the first page of the list
CLIENT_NAME_MAX: Final = 128

Authenticate = Callable[[str], Awaitable[Claims]]
"""Check a token. Raises Unauthenticated with its reason."""


class Peer:
    def __init__(
        self, parts: Parts, connection: Connection, authenticate: Authenticate, *, claims: Claims | None = None
    ) -> None:
        """`claims`: the upgrade's own token was good, so the hello needs none."""
        self._parts = parts
        self._connection = connection
        self._authenticate = authenticate
        self._claims = claims
        self.session = Session(
            SessionId(secrets.token_hex(16)),
            connection,
            settings=parts.settings,
            now=time.monotonic(),
            authenticated=claims is not None,
        )
        self._requests = Requests(parts, self.session)
        self.record: SessionRecord | None = None  # once it is on its user's table, or on its way there
        self._entering: asyncio.Future[Opened] | None = None
        self._listing: Listing | None = None
        self._opening = False  # between the hello and the first page of the list; frames wait
        self._waiting: list[str | bytes] = []  # a list: an empty deque holds 600 bytes, for as long as the connection
        self._waiting_size = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        parts.peers.connect(self)

    @property
    def entering(self) -> bool:
        return self._entering is not None

    # ------------------------------------------------------------------------------------------------ the socket

    def received(self, text: str | bytes) -> None:
        """One text frame came."""
        if self.session.phase is protocol.Phase.CLOSED:
            return
        if self._opening:
            self._waiting.append(text)
            self._waiting_size += len(text)
            if len(self._waiting) > WAITING_MAX or self._waiting_size > self._parts.settings.limits.buffer_bytes:
                self._waited_too_long()
            return
        for decision in self.session.receive(text, time.monotonic()):
            self._carry_out(decision)

    def _waited_too_long(self) -> None:
        """More came than is kept until the list is there. Who was let in may talk: then it is we who are slow."""
        welcomed = self.session.phase is protocol.Phase.OPEN
        code = codes.OVERLOADED if welcomed else codes.BAD_FRAME
        self.close(code, f"over {WAITING_MAX} frames, or too large ones, before the list was there")

    def lost(self) -> None:
        """The connection is gone, whoever ended it."""
        session = self.session
        self._parts.peers.drop(self)
        session.phase = protocol.Phase.CLOSED
        for cid in tuple(session.places):
            place = session.detach(cid)
            if place is not None:
                self._parts.hub.detach(place)
        for task in self._tasks:
            task.cancel()
        if session.owner is not None:
            self._parts.metrics.sessions.set(len(self._parts.peers))
            self._parts.abroad.left(session.uid)
            self._parts.receipts.left(session)
            self._parts.background.spawn(self._leave_registry(), "leave registry")

    def close(self, code: int, reason: str) -> None:
        self.session.close(code, reason)
        self._end(code, reason)

    def abort(self) -> None:
        """End the connection at once."""
        self._parts.metrics.closes.labels(CUT).inc()
        self._connection.abort()

    def _end(self, code: int, reason: str) -> None:
        self._parts.metrics.closes.labels(str(code)).inc()
        self._connection.close(code, reason)

    def write(self, data: bytes) -> None:
        self._connection.write(data)

    def tick(self, now: float) -> None:
        stalled_s = self._connection.stalled_s(now)
        if stalled_s and stalled_s > self._parts.settings.limits.stall_s:
            self.abort()
            return
        due = self.session.tick(now)
        if isinstance(due, decisions.Close):
            self._end(due.code, due.reason)
        elif due is not None:
            self._connection.write(due.data)

    # ------------------------------------------------------------------------------------------------ decisions

    def _carry_out(self, decision: decisions.Decision) -> None:
        match decision:
            case decisions.Acked(place):
                self._requests.acked(place)
            case decisions.Submit():
                self._requests.submit(decision)
            case decisions.Reply(data):
                self._connection.write(data)
            case decisions.Fetch():
                self._fetch(decision)
            case _:
                self._carry_out_seldom(decision)

    def _carry_out_seldom(self, decision: decisions.Decision) -> None:
        match decision:
            case decisions.Looked(places):
                for place in places:
                    self._parts.hub.looked(place)
            case decisions.ReadTo():
                self._start(self._requests.read_to(decision), decision.rid, cid=decision.cid)
            case decisions.Pass():
                self._requests.signal(decision)
            case decisions.List(after, rid):
                self._start(self._list(after, rid), rid)
            case _:
                self._tend(decision)

    def _tend(self, decision: decisions.Decision) -> None:
        """Carry out what concerns the session itself."""
        match decision:
            case decisions.Authenticate(hello):
                self._opening = True
                self._start(self._open(hello), hello.rid)
            case decisions.Renew(token):
                self._start(self._renew(token), None)
            case decisions.Close(code, reason):
                self._end(code, reason)

    def _fetch(self, decision: decisions.Fetch) -> None:
        if not self._requests.fetch_held(decision):
            self._start(self._requests.fetch(decision), decision.rid, cid=decision.place.cid)

    def _start(self, work: Coroutine[Any, Any, None], rid: client_frames.Rid, *, cid: str | None = None) -> None:
        if len(self._tasks) >= TASKS_MAX:
            work.close()
            problem = RateLimited(f"{TASKS_MAX} requests of this connection are under way", retry_after_ms=200)
            self.write(frames.error(problem, rid=rid, cid=cid))
            return
        task = self._parts.background.spawn(self._guarded(work, rid, cid), f"session {self.session.id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None], rid: client_frames.Rid, cid: str | None) -> None:
        try:
            await work
        except PushpullError as problem:
            if self._opening:
                self.close(codes.OVERLOADED, problem.code)
            else:
                self.write(frames.error(problem, rid=rid, cid=cid))
        except Exception:
            # A session that lost an answer would wait for it: end it, the device comes back and asks again.
            log.exception("a request of session %s failed", self.session.id)
            self.close(codes.OVERLOADED, "internal")

    # ------------------------------------------------------------------------------------------------ opening

    async def _open(self, hello: client_frames.Hello) -> None:
        """Raises PushpullError before the list is there: the session could not be opened."""
        try:
            claims = await self._identify(hello.token)
        except Unauthenticated as problem:
            self.close(codes.NOT_AUTHENTICATED, problem.reason)
            return
        if self.session.phase is not protocol.Phase.CHECKING:
            return
        self._claims = claims
        allowance = self._parts.allowances.of(claims.uid)
        self.session.opened(claims.uid, expires_at=on_loop_clock(claims.expires_at), allowance=allowance)
        self._parts.peers.open(self)
        self._parts.receipts.opened(self.session)
        self._parts.metrics.sessions.set(len(self._parts.peers))
        await self._enter(hello.client[:CLIENT_NAME_MAX])
        self.write(frames.welcome(welcome(self._parts, self.session, claims), hello.rid))
        # Before the list is read: who joins a conversation meanwhile is announced, and must not be missed.
        self._listing = Listing(self._parts, self.session, hello)
        await self._listing.page(None, None)
        self._opening = False
        waiting, self._waiting = self._waiting, []
        for text in waiting:
            self.received(text)

    async def _enter(self, client: str) -> None:
        """Make the session known to every node, and end those it replaces. Raises StoreUnavailable."""
        self.record = record_of(self._parts, self.session, client)
        self._entering = self._parts.store.presence.open_session(
            self.record, still=lambda: self.session.phase is protocol.Phase.OPEN
        )
        # Shielded: if the connection is lost now, its row is taken off once it is known to be there.
        entered(self._parts, self.session, await asyncio.shield(self._entering))
        self._entering = None

    async def _identify(self, token: str | None) -> Claims:
        if token is None:
            if self._claims is None:
                raise Unauthenticated("no token in hello nor at the upgrade")
            return self._claims
        claims = await self._authenticate(token)
        if self._claims is not None and claims.uid != self._claims.uid:
            raise Unauthenticated("the tokens of upgrade and hello are of two users")
        return claims

    async def _renew(self, token: str) -> None:
        try:
            claims = await self._authenticate(token)
        except Unauthenticated as problem:
            self.close(codes.NOT_AUTHENTICATED, problem.reason)
            return
        self._claims = claims
        refused = self.session.renewed(claims.uid, expires_at=on_loop_clock(claims.expires_at))
        if refused is not None:
            self._end(refused.code, refused.reason)

    def revoked_before(self, ts: float) -> None:
        """Tokens issued before `ts` (s since 1970) are refused from now on."""
        issued_at = self._claims.issued_at if self._claims is not None else None
        if issued_at is None or issued_at < ts:
            self.close(codes.NOT_AUTHENTICATED, "token_revoked")

    async def _leave_registry(self) -> None:
        at_ms, goodbye = int(time.time() * 1000), self._connection.goodbye or LINE_LOST
        if self._entering is not None:
            await asyncio.wait([self._entering])
        if self.record is None:
            return
        try:
            await self._parts.store.presence.leave(self.record, goodbye, at_ms=at_ms)
        except PushpullError as problem:
            log.debug("session stays listed until its node is seen to be gone: %s", problem.message)

    # ------------------------------------------------------------------------------------------------ the list

    async def _list(self, after: Cid | None, rid: client_frames.Rid) -> None:
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

    def leave(self, cid: Cid, change: str) -> None:
        """The user is no member of `cid` any more, or it is deleted: nothing more of it goes out."""
        place = self.session.detach(cid)
        if place is not None:
            self._parts.hub.detach(place)
            self.write(frames.conversation(cid, change))
