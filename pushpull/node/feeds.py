"""The feeds of this node: opened when the first local session needs one, closed some time after the last left.

Opening goes by the book: subscribe to the conversation's bell, await the confirmation, then read its head; a bell
that rings in between finds the feed in the making and marks it to be read once it stands.

Bounded by the places attached here plus those idle for less than IDLE_S, at most IDLE_MAX of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from pushpull.errors import PushpullError, StoreUnavailable
from pushpull.model import Cid, Head
from pushpull.node.feed import Feed
from pushpull.node.lanes import Lane, one_lane
from pushpull.settings import Settings

log = logging.getLogger(__name__)

CONFIRM_S: Final = 5.0
IDLE_S: Final = 15.0
IDLE_MAX: Final = 10_000


class Bellboard(Protocol):
    """Where bells are subscribed to."""

    async def subscribe(self, cids: Sequence[Cid]) -> None: ...

    async def unsubscribe(self, cids: Sequence[Cid]) -> None: ...


class Heads(Protocol):
    async def heads(self, cids: Sequence[Cid]) -> Sequence[Head | None]: ...


class _Opening:
    """Feeds in the making, those of a lane that were asked for in one turn of the loop."""

    def __init__(self, lane: int) -> None:
        self.lane = lane
        loop = asyncio.get_running_loop()
        self.cids: dict[Cid, None] = {}
        self.unconfirmed: set[Cid] = set()  # their bells are not subscribed to yet
        self.confirmed: asyncio.Future[None] = loop.create_future()  # all of them are
        self.missed: set[Cid] = set()  # a bell rang before the feed stood
        self.done: asyncio.Future[None] = loop.create_future()  # they stand, but those without a conversation
        self.done.add_done_callback(lambda done: done.cancelled() or done.exception())  # retrieved: may go unawaited

    def add(self, cid: Cid) -> None:
        self.cids[cid] = None
        self.unconfirmed.add(cid)

    def confirm(self, cid: Cid) -> None:
        if cid not in self.unconfirmed:
            self.missed.add(cid)  # the connection was cut, its head may have been read while nobody listened
            return
        self.unconfirmed.discard(cid)
        if not self.unconfirmed and not self.confirmed.done():
            self.confirmed.set_result(None)


class Feeds:
    def __init__(
        self,
        log: Heads,
        board: Bellboard,
        settings: Settings,
        stale: Callable[[Feed], None],
        *,
        lane: Lane = one_lane,
    ) -> None:
        """`stale` is called with a feed that must be read."""
        self._log = log
        self._board = board
        self._settings = settings
        self._stale = stale
        self._open: dict[Cid, Feed] = {}
        self._opening: dict[Cid, _Opening] = {}
        self._lane = lane
        self._next: dict[
            int, _Opening
        ] = {}  # by lane; not begun: takes what else is asked for in this turn of the loop
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._open.values())

    def get(self, cid: Cid) -> Feed | None:
        return self._open.get(cid)

    def missed(self, cid: Cid) -> None:
        """A bell rang and there is no feed to hear it. One in the making is read as soon as it stands."""
        opening = self._opening.get(cid)
        if opening is not None:
            opening.missed.add(cid)

    async def open(self, cids: Sequence[Cid]) -> dict[Cid, Feed]:
        """The feeds of `cids`, opened together; one without a conversation is left out. Raises StoreUnavailable."""
        openings: dict[_Opening, None] = {}
        for cid in cids:
            feed = self._open.get(cid)
            if feed is None:
                openings[self._opening.get(cid) or self._begin(cid)] = None
            else:
                feed.idle_since = None  # not to be closed while we wait for the others
        for opening in openings:
            await asyncio.shield(opening.done)
        return {cid: feed for cid in cids if (feed := self._open.get(cid)) is not None}

    def _begin(self, cid: Cid) -> _Opening:
        lane = self._lane(cid)
        opening = self._next.get(lane)
        if opening is None:
            opening = self._next[lane] = _Opening(lane)
            # A task of its own: whoever asked may go away meanwhile, and others wait for the same feeds.
            task = asyncio.create_task(self._open_new(opening), name="open feeds")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        opening.add(cid)
        self._opening[cid] = opening
        return opening

    def confirmed(self, cid: Cid) -> None:
        """The subscription of `cid` stands: what rings from here on is heard, what rang before may be lost."""
        opening = self._opening.get(cid)
        if opening is not None:
            opening.confirm(cid)
        feed = self._open.get(cid)
        if feed is not None:
            self._stale(feed)

    async def close_idle(self, now: float) -> None:
        """Unsubscribe from the feeds nobody here has needed for IDLE_S, and from the oldest over IDLE_MAX."""
        idle = []
        for feed in self._open.values():
            if feed:
                feed.idle_since = None
            else:
                feed.idle_since = now if feed.idle_since is None else feed.idle_since
                idle.append((feed.idle_since, feed))
        idle.sort(key=lambda row: row[0])
        over = len(idle) - IDLE_MAX
        await self.close([feed for n, (since, feed) in enumerate(idle) if n < over or now - since >= IDLE_S])

    async def close(self, going: Sequence[Feed]) -> None:
        cids = [feed.cid for feed in going if self._open.get(feed.cid) is feed]
        for cid in cids:
            del self._open[cid]
        if cids:
            await self._board.unsubscribe(cids)

    async def _open_new(self, opening: _Opening) -> None:
        """Open these feeds, or fail all who wait for them; raises nothing but its own cancellation."""
        del self._next[opening.lane]
        try:
            heads = await self._subscribe_and_read(opening)
        except BaseException as problem:
            self._abandon(opening, problem)
            await self._board.unsubscribe(list(opening.cids))
            if not isinstance(problem, Exception):
                raise
            if not isinstance(problem, PushpullError):
                log.exception("%s feeds could not be opened", len(opening.cids))
            return
        gone = []
        for cid, head in zip(opening.cids, heads, strict=True):
            del self._opening[cid]
            if head is None:
                gone.append(cid)
                continue
            feed = self._open[cid] = Feed(cid, head, self._settings.delivery)
            if cid in opening.missed:
                self._stale(feed)
        opening.done.set_result(None)
        if gone:
            await self._board.unsubscribe(gone)

    async def _subscribe_and_read(self, opening: _Opening) -> Sequence[Head | None]:
        cids = list(opening.cids)
        try:
            async with asyncio.timeout(CONFIRM_S):
                await self._board.subscribe(cids)
                await opening.confirmed
        except TimeoutError:
            raise StoreUnavailable(f"no subscription confirmed within {CONFIRM_S:g} s", retry_after_ms=1000) from None
        return await self._log.heads(cids)

    def _abandon(self, opening: _Opening, problem: BaseException) -> None:
        error = problem if isinstance(problem, PushpullError) else StoreUnavailable("the conversation was not opened")
        for cid in opening.cids:
            self._opening.pop(cid, None)
        opening.confirmed.cancel()
        if not opening.done.done():
            opening.done.set_exception(error)
