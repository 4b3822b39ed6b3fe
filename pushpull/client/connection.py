"""Keeping a device connected: dial, greet, serve, and again, as the close codes and `drain` ask.

Theory of operation. One task (`run`) owns the connection. Per session it reads frames into the core, while a second
task (`_pump`) writes what the core owes: it sleeps until the core's next time, or until somebody wakes it. A
session ends with LinkClosed, whatever the cause; then `run` dials the next node at once, waits when all of them were
tried, or ends for good with an exception. A third task (`_watch`) finds out that the other side hangs.

On `drain` the next connection is dialled first (its upgrade costs the most), to another node where one is known; the
old one is left, and the new one says hello.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pushpull.client import frames
from pushpull.client.backoff import STEADY_S, AfterClose, Backoff, after_close, drain_delay_s
from pushpull.client.closed import ConnectionEnded, LinkClosed, final_error
from pushpull.client.core import Core
from pushpull.client.link import OPEN_S, Link
from pushpull.client.requests import Requests
from pushpull.client.rotation import Rotation
from pushpull.client.silence import ANSWER_S, Due, Silence
from pushpull.client.tokens import REFRESH_SHARE, TokenSource, expiry_of
from pushpull.errors import PushpullError

logger = logging.getLogger(__name__)

RETRY_TOKEN_S: Final = 5.0
"""After the token function failed for a passing reason."""

RENEW_FIRST_S: Final = 1.0
"""The soonest a token is renewed: a function that only has expired ones must not be asked in a tight loop."""

DIAL_S: Final = 2.0
"""For one node while others are known: one that hangs takes the connection and never answers. Twice as long with each
round, up to link.OPEN_S: where all are slow, hurrying on from one to the next makes them slower."""

MOVE_S: Final = 0.2
"""Before the next node is dialled: the devices of one that was killed all lose it in the same moment."""

WATCH_S: Final = 1.0

OnPositions = Callable[[dict[str, str]], Awaitable[None] | None]


class Connection:
    """`hello` is what to say beside the positions; `on_moved` is told each time something was received."""

    def __init__(
        self,
        nodes: Rotation,
        core: Core,
        tokens: TokenSource,
        *,
        hello: dict[str, Any],
        on_positions: Callable[[dict[str, str]], Awaitable[None]],
        on_moved: Callable[[], None],
    ) -> None:
        self.ready = asyncio.Event()  # a session is open
        self.requests = Requests()
        self.welcome: frames.Welcome | None = None
        self._nodes = nodes
        self._core = core
        self._tokens = tokens
        self._hello = hello
        self._on_positions = on_positions
        self._on_moved = on_moved
        self._wake = asyncio.Event()
        self._link: Link | None = None
        self._spare: Link | None = None  # dialled ahead of a drain
        self._refused = False  # the token in use was refused: the next dial needs another
        self._errand: asyncio.Task[None] | None = None  # dialling it

    def wake(self) -> None:
        """The core has something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Stay connected until cancelled. Raises what ends it for good: a PushpullError, or what a callback raised."""
        backoff = Backoff()
        try:
            while True:
                opened_at = time.monotonic()
                try:
                    await self._one_session()
                except LinkClosed as closed:
                    logger.debug("connection lost: %s", closed)
                    self._ended_after(time.monotonic() - opened_at if self.ready.is_set() else 0, backoff)
                    self.ready.clear()
                    await self._prepare_for_next(closed, backoff)
        finally:
            self.ready.clear()
            await self._hang_up()

    async def flush(self, *, at_once: bool = False) -> None:
        """Persist what was stored, then ack it: in this order, so that an ack is never ahead of the device."""
        acks = self._core.ack(now=time.monotonic(), at_once=at_once)
        if self._core.moved and (acks or at_once or self._core.acks.due_at is None):
            moved, self._core.moved = self._core.moved, {}
            await self._on_positions(moved)
        if acks and self._link is not None and self.ready.is_set():
            await self._link.send({"type": "ack", "acks": acks})

    async def _one_session(self) -> None:
        link, self._spare = self._spare, None
        if link is None:
            link = await self._dial()
        self._link = link
        self.welcome = welcome = await self._greet(link)
        self._core.opened(welcome, now=time.monotonic())
        self.ready.set()
        logger.info("connected as %s, session %s", welcome.user, welcome.session)
        chores = [asyncio.create_task(chore(link)) for chore in (self._pump, self._renew, self._watch)]
        for chore in chores:
            chore.add_done_callback(lambda done: _leave_on_failure(link, done))
        try:
            await self._listen(link)
        finally:
            await self._end_session(chores)
            link.leave()

    async def _greet(self, link: Link) -> frames.Welcome:
        try:
            return await link.greet(
                {
                    "type": "hello",
                    **self._hello,
                    **self._core.screen.hello(),
                    "positions": dict(self._core.inbox.handed),
                }
            )
        except LinkClosed:
            # Given up, but perhaps not lost: a node that comes to its hello later would end the session we open next.
            link.abort()
            raise

    async def _end_session(self, chores: list[asyncio.Task[None]]) -> None:
        """Stop the chores; raise what one failed with: a callback's failure must not look like a lost line."""
        for chore in chores:
            chore.cancel()
        outcomes = await asyncio.gather(*chores, return_exceptions=True)
        self._core.closed(now=time.monotonic())
        self.requests.lost()
        for outcome in outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, LinkClosed):
                raise outcome

    async def _listen(self, link: Link) -> None:
        while True:
            frame = await link.receive()
            if frame is None:
                continue
            if isinstance(frame, frames.Drain):
                self._errand = asyncio.create_task(self._move_house(link, frame))
            elif not self.requests.answer(frame):
                self._core.receive(frame, now=time.monotonic())
            self._on_moved()
            self._wake.set()

    async def _pump(self, link: Link) -> None:
        while True:
            self._wake.clear()
            await self.flush()
            # A pull of a conversation that is not listed yet would be taken for one by a stranger.
            asked = self.requests.outgoing() if self._core.list_complete else []
            for frame in asked + self._core.outgoing(now=time.monotonic()):
                await link.send(frame)
            next_at = self._core.next_at(now=time.monotonic())
            try:
                async with asyncio.timeout(None if next_at is None else max(0.001, next_at - time.monotonic())):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _renew(self, link: Link) -> None:
        """A fresh token before the old one expires, as long as there is a function to ask."""
        while self._tokens.renewable:
            expires_at = expiry_of(await self._tokens.current())
            if expires_at is None:
                return
            await asyncio.sleep(max(RENEW_FIRST_S, (expires_at - time.time()) * REFRESH_SHARE))
            try:
                await link.send({"type": "auth", "token": await self._tokens.fresh()})
            except (OSError, PushpullError) as error:
                logger.warning("no fresh token yet: %s", error)
                await asyncio.sleep(RETRY_TOKEN_S)

    async def _watch(self, link: Link) -> None:
        """Ask when the other side has been quiet for long; cut the connection off when it does not answer."""
        silence = Silence(time.monotonic())
        while True:
            await asyncio.sleep(WATCH_S)
            now = time.monotonic()
            silence.heard(link.heard_at)
            due = silence.due(now, waiting=len(self._core.outbox) > 0 or len(self.requests) > 0)
            if due is Due.DEAD:
                logger.info("the service hangs: no answer to a ping")
                link.abort()
            elif due is Due.PING:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ANSWER_S):
                        await link.send({"type": "ping"})

    def _ended_after(self, seconds: float, backoff: Backoff) -> None:
        """A session was open for so long (0: not at all). A good one makes up for the failures before it."""
        backoff.lived(seconds)
        if seconds >= STEADY_S:
            self._nodes.worked()

    async def _dial(self) -> Link:
        alone = len(self._nodes) == 1
        open_s = OPEN_S if alone else min(OPEN_S, DIAL_S * 2 ** min(self._nodes.rounds, 8))
        return await Link.open(self._nodes.current, await self._token(), open_s=open_s)

    async def _move_house(self, link: Link, drain: frames.Drain) -> None:
        await asyncio.sleep(drain_delay_s(drain, random.random()))
        for _ in range(len(self._nodes)):
            self._nodes.leave()
            try:
                self._spare = await self._dial()
            except (LinkClosed, PushpullError) as error:
                logger.debug("no connection ahead of the drain: %s", error)
            else:
                link.leave()
                return

    async def _prepare_for_next(self, closed: LinkClosed, backoff: Backoff) -> None:
        verdict = after_close(closed.code)
        if self._spare is not None and verdict is AfterClose.RECONNECT:
            return
        if self._errand is not None:
            self._errand.cancel()  # too late: a connection it dialled beside the next session would only lie there
        if verdict is AfterClose.STOP or (verdict is AfterClose.NEW_TOKEN and not self._tokens.renewable):
            raise final_error(closed)
        self._refused = self._refused or verdict is AfterClose.NEW_TOKEN
        all_tried = self._nodes.failed(self._nodes.current)
        await asyncio.sleep(backoff.next_delay_s(random.random()) if all_tried else MOVE_S * random.random())

    async def _token(self) -> str:
        """The token in use, or a fresh one; a failure of the network on the way to it is a lost line like any other."""
        try:
            token = await (self._tokens.fresh() if self._refused else self._tokens.current())
            self._refused = False
            return token
        except OSError as error:
            raise LinkClosed(1006, f"no token: {error}"[:100]) from error
        except PushpullError as error:
            if error.temporary:
                raise LinkClosed(1006, f"no token: {error.message}"[:100]) from error
            raise

    async def _hang_up(self) -> None:
        if self._errand is not None:
            self._errand.cancel()
        self.requests.end(ConnectionEnded("the chat was closed"))
        links = [link for link in (self._link, self._spare) if link is not None]
        await asyncio.gather(*(link.close() for link in links))


def _leave_on_failure(link: Link, done: asyncio.Task[None]) -> None:
    if not done.cancelled() and done.exception() is not None:
        link.leave()
