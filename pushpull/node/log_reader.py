"""Reads of the log on behalf of feeds: many stale feeds, one pipeline; many who ask for one cold page, one read.

A feed is stale when a bell did not fit, a subscription was made anew, or the audit found it behind. Stale feeds
are read together, each from its own last id, until none is. While Redis is away they stay stale and are tried
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
from pushpull.node.metrics import Metrics
from pushpull.store.values import LogRead, ReadRequest

log = logging.getLogger(__name__)

READ_MESSAGES: Final = 500
READ_BYTES: Final = 1024 * 1024
FEEDS_A_PIPELINE: Final = 200
RETRY_S: Final = 0.5


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
    ) -> None:
        """`changed` is called with what a read did to a feed, `gone` when its conversation is no more."""
        self._store = store
        self._metrics = metrics
        self._changed = changed
        self._gone = gone
        self._stale: dict[Feed, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._cold: dict[tuple[Cid, int, int], asyncio.Task[tuple[Page, int]]] = {}

    def mark_stale(self, feed: Feed) -> None:
        """Read this feed's log from its last id, soon."""
        self._stale[feed] = None
        if self._task is None:
            self._task = asyncio.create_task(self._read_stale(), name="log-reader")

    async def page(self, feed: Feed, after: int, *, limit: int, max_bytes: int) -> Page:
        """A page above `after`, from the tail or else from the log. Raises PushpullError.

        A page of the log may end above the feed's head, and starts no lower than the floor, which the feed then knows.
        """
        page = feed.tail.page(after, limit=limit, max_bytes=max_bytes)
        if page is not None:
            return page
        page, floor = await self._cold_page(feed.cid, after, limit, max_bytes)
        feed.raise_floor(floor)
        if page.upto < after:
            self.mark_stale(feed)
            raise StoreUnavailable(f"the log ends at {page.upto}, before {after}: it is being read anew")
        return page

    async def _cold_page(self, cid: Cid, after: int, limit: int, max_bytes: int) -> tuple[Page, int]:
        """One read, encoded once, for all who wait for the same range."""
        key = (cid, after, limit)
        task = self._cold.get(key)
        if task is None:
            self._metrics.log_reads.inc()
            task = asyncio.create_task(self._read_page(cid, after, limit, max_bytes))
            self._cold[key] = task
            task.add_done_callback(lambda done: self._forget_cold(key, done))
        return await asyncio.shield(task)

    async def _read_page(self, cid: Cid, after: int, limit: int, max_bytes: int) -> tuple[Page, int]:
        read = await self._store.read(cid, after=after, limit=limit, max_bytes=max_bytes)
        return page_of(read.entries, after=after, at=read.head.last_id), read.head.floor

    def _forget_cold(self, key: tuple[Cid, int, int], done: asyncio.Task[tuple[Page, int]]) -> None:
        del self._cold[key]
        if not done.cancelled():
            done.exception()  # retrieved: those who waited may all be gone

    async def _read_stale(self) -> None:
        try:
            while self._stale:
                batch = [feed for feed, _ in zip(list(self._stale), range(FEEDS_A_PIPELINE), strict=False)]
                for feed in batch:
                    del self._stale[feed]
                if not await self._read_batch(batch):
                    await asyncio.sleep(RETRY_S)
        finally:
            self._task = None

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
                self._stale[feed] = None
                all_read = False
            elif feed.fits(read, anchor):
                self._hand_on(feed, read)
            else:
                self._stale[feed] = None
        return all_read

    def _hand_on(self, feed: Feed, read: LogRead) -> None:
        if feed.doubted:
            return  # it is read anew when the doubt is over
        try:
            self._changed(feed, feed.take_read(read))
        except Exception:
            # One conversation's trouble must not silence the others; the audit comes to it again.
            log.exception("a read could not be taken")
