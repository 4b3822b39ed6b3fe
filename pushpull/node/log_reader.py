"""Reads of the log on behalf of feeds: many stale feeds, one pipeline; many who ask for one cold page, one read.

A cold page is kept for a moment after it was read: of a thousand who were told to pull, the last ask when the first
have been answered. It is given out only while the feed knows of no edit, redaction, reset or higher floor since the
read began; what the feed has not heard of yet, a page of the tail would not show either, and not for that moment alone.

A feed is stale when a bell did not fit, a subscription was made anew, or the audit found it behind. Stale feeds of one
lane are read together, each from its own last id, until none is. While Redis is away they stay stale and are tried
again; a feed is in the set once, so the set is bounded by the feeds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from pushpull.delivery.tail import Page, page_of
from pushpull.errors import NoSuchConversation, PushpullError, StoreUnavailable
from pushpull.model import Cid
from pushpull.node.feed import Change, Feed
from pushpull.node.lanes import Lane, one_lane
from pushpull.node.metrics import Metrics
from pushpull.node.spans import Spans
from pushpull.store.values import LogRead, ReadRequest

log = logging.getLogger(__name__)

READ_MESSAGES: Final = 500
READ_BYTES: Final = 1024 * 1024
FEEDS_A_PIPELINE: Final = 200
RETRY_S: Final = 0.5
KEPT_S: Final = 0.5
KEPT_MAX: Final = 32
"""Cold pages kept; past it the oldest goes. Each has at most `delivery.page_bytes`, or one message."""

_Cold = tuple[Page, int]
"""A page of the log, and the floor that the read saw."""

_Range = tuple[Feed, int, int, int, int, int]
"""What a cold page is of: feed, after, limit, max_bytes; and what the feed knew then: its tail's version, its floor."""


class RangeLog(Protocol):
    async def read_many(self, requests: Sequence[ReadRequest]) -> Sequence[LogRead | PushpullError]: ...

    async def read(self, cid: Cid, *, after: int, limit: int, max_bytes: int) -> LogRead: ...


class LogReader:
    def __init__(
        self,
        store: RangeLog,
        metrics: Metrics,
        *,
        changed: Callable[[Feed, Change], None],
        gone: Callable[[Feed], None],
        lane: Lane = one_lane,
        spans: Spans | None = None,
    ) -> None:
        """`changed` is called with what a read did to a feed, `gone` when its conversation is no more."""
        self._store = store
        self._metrics = metrics
        self._changed = changed
        self._gone = gone
        self._lane = lane
        self._spans = spans
        self._stale: dict[int, dict[Feed, None]] = {}  # by lane, those without a stale feed left out
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._cold: dict[_Range, asyncio.Task[_Cold]] = {}  # under way: one for each place at the most
        self._kept: dict[_Range, _Cold] = {}

    @property
    def stale(self) -> int:
        """Feeds whose log is to be read."""
        return sum(map(len, self._stale.values()))

    def mark_stale(self, feed: Feed) -> None:
        """Read this feed's log from its last id, soon."""
        lane = self._lane(feed.cid)
        self._stale.setdefault(lane, {})[feed] = None
        if lane not in self._tasks:
            self._tasks[lane] = asyncio.create_task(self._read_stale(lane), name="log-reader")

    async def page(self, feed: Feed, after: int, *, limit: int, max_bytes: int) -> Page:
        """A page above `after`, from the tail or else from the log. Raises PushpullError.

        A page of the log may end above the feed's head, and starts no lower than the floor, which the feed then knows.
        """
        page = feed.tail.page(after, limit=limit, max_bytes=max_bytes)
        if page is not None:
            return page
        page, floor = await self._cold_page(feed, after, limit, max_bytes)
        feed.raise_floor(floor)
        if page.upto < after:
            self.mark_stale(feed)
            raise StoreUnavailable(f"the log ends at {page.upto}, before {after}: it is being read anew")
        return page

    async def _cold_page(self, feed: Feed, after: int, limit: int, max_bytes: int) -> _Cold:
        """One read, encoded once, for all who ask for the same range."""
        key = (feed, after, limit, max_bytes, feed.tail.version, feed.head.floor)
        kept = self._kept.get(key)
        if kept is not None:
            return kept
        task = self._cold.get(key)
        if task is None:
            self._metrics.log_reads.inc()
            task = asyncio.create_task(self._read_page(feed.cid, after, limit, max_bytes))
            self._cold[key] = task
            task.add_done_callback(lambda done: self._keep_cold(key, done))
        return await asyncio.shield(task)

    async def _read_page(self, cid: Cid, after: int, limit: int, max_bytes: int) -> tuple[Page, int]:
        read = await self._store.read(cid, after=after, limit=limit, max_bytes=max_bytes)
        return page_of(read.entries, after=after, at=read.head.last_id), read.head.floor

    def _keep_cold(self, key: _Range, done: asyncio.Task[_Cold]) -> None:
        del self._cold[key]
        if done.cancelled() or done.exception() is not None:  # retrieved: those who waited may all be gone
            return
        feed, after, page = key[0], key[1], done.result()[0]
        if not after < page.upto <= feed.tail.head:
            return  # the end of the log, perhaps above what the feed knows: whoever asks next wants to see it grow
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = done.result()
        asyncio.get_running_loop().call_later(KEPT_S, self._kept.pop, key, None)

    async def _read_stale(self, lane: int) -> None:
        try:
            while stale := self._stale.get(lane):
                batch = [feed for feed, _ in zip(list(stale), range(FEEDS_A_PIPELINE), strict=False)]
                for feed in batch:
                    del stale[feed]
                if not await self._read_batch(batch):
                    await asyncio.sleep(RETRY_S)
        finally:
            del self._tasks[lane]

    async def _read_batch(self, batch: list[Feed]) -> bool:
        """Read these feeds in one pipeline; False when Redis did not answer for some (they are stale again)."""
        anchors = [feed.tail.head_id for feed in batch]
        requests = [
            ReadRequest(
                cid=feed.cid, after=feed.tail.head, anchor=feed.tail.head_id, limit=READ_MESSAGES, max_bytes=READ_BYTES
            )
            for feed in batch
        ]
        self._metrics.log_reads.inc(len(requests))
        try:
            reads: Sequence[LogRead | PushpullError] = await self._store.read_many(requests)
        except PushpullError as problem:
            reads = [problem] * len(batch)
        except Exception:
            log.exception("a read of %s feeds failed", len(batch))
            reads = [StoreUnavailable("the read failed")] * len(batch)
        all_read = True
        for feed, anchor, read in zip(batch, anchors, reads, strict=True):
            if isinstance(read, NoSuchConversation):
                self._gone(feed)
            elif isinstance(read, PushpullError):
                log.debug("feed waits for its log: %s", read.message)
                self.mark_stale(feed)
                all_read = False
            elif feed.fits(read, anchor):
                self._hand_on(feed, read)
            else:
                self.mark_stale(feed)
        return all_read

    def _hand_on(self, feed: Feed, read: LogRead) -> None:
        if feed.doubted:
            return  # it is read anew when the doubt is over
        if self._spans is not None:
            self._spans.read(feed, read)
        try:
            self._changed(feed, feed.take_read(read))
        except Exception:
            # One conversation's trouble must not silence the others; the audit comes to it again.
            log.exception("a read could not be taken")
