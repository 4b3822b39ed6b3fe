"""What an open session asks for: sends, acks, reads, pulls."""

from __future__ import annotations

import time
from functools import partial

from msgspec.structs import replace

from pushpull.delivery import frames
from pushpull.delivery.decisions import Fetch, Pass, ReadTo, Submit
from pushpull.delivery.place import Place
from pushpull.delivery.session import Phase, Session
from pushpull.delivery.tail import Page
from pushpull.errors import Invalid, NotAMember, PushpullError, RateLimited, StoreUnavailable
from pushpull.model import Cid, Mode, Sent, seq_of
from pushpull.node import history
from pushpull.node.appender import Outcome
from pushpull.node.feed import Feed
from pushpull.node.parts import Parts


class Requests:
    """The work of one session. Its answers go to the session's connection."""

    def __init__(self, parts: Parts, session: Session) -> None:
        self._parts = parts
        self._session = session
        self._write = session.connection.write

    def submit(self, decision: Submit) -> None:
        """Append, and answer when it is known what became of it."""
        self._parts.appender.take(decision.draft, partial(self._answer_send, decision))

    def _answer_send(self, decision: Submit, outcome: Outcome) -> None:
        if self._session.phase is not Phase.OPEN:
            return
        if isinstance(outcome, Sent):
            frame = frames.sent(outcome, decision.rid)
        else:
            draft = decision.draft
            now = time.monotonic()
            self._session.send_failed(draft.cid, draft.cmid, outcome, now, number=decision.number)
            frame = frames.error(outcome, rid=decision.rid, cid=draft.cid, cmid=draft.cmid)
        self._session.connection.write_soon(frame)

    def acked(self, place: Place) -> None:
        """The device acknowledged: move the user's delivered cursor, give what waited for the room."""
        self._parts.cursors.move(place.cid, self._session.uid, delivered=self._acked_id(place))
        self._parts.hub.acked(place)

    def _acked_id(self, place: Place) -> str:
        """The log id the ack means; where it is not at hand, the end of the last whole frame below it."""
        window = place.window
        if seq_of(window.acked_id) == window.acked:
            return window.acked_id
        feed = self._parts.feeds.get(place.cid)
        return (feed.tail.id_of(window.acked) if feed is not None else None) or window.acked_id

    async def read_to(self, decision: ReadTo) -> None:
        """Move the user's read cursor. Raises Invalid past the head."""
        cid, seq = decision.cid, decision.seq
        feed = self._parts.feeds.get(cid)
        if feed is None or seq > feed.tail.head:
            await self._require_head(cid, seq)
        at = (feed.tail.id_of(seq) if feed is not None else None) or str(seq)
        self._parts.cursors.move(cid, self._session.uid, read=at)

    def signal(self, decision: Pass) -> None:
        """Pass it on; answered only where that is refused."""
        self._parts.background.spawn(self._signal(decision), "signal")

    async def _signal(self, decision: Pass) -> None:
        try:
            await self._parts.signals.say(decision.place, decision.body)
        except PushpullError as problem:
            if self._session.phase is Phase.OPEN:
                self._write(frames.error(problem, rid=decision.rid, cid=decision.place.cid))

    async def _require_head(self, cid: Cid, seq: int) -> None:
        """`seq` is above what this node has seen: it was stored a moment ago, or never (Invalid)."""
        head = (await self._parts.store.log.heads([cid]))[0]
        if head is None or seq > head.seq:
            raise Invalid(f"cursor {seq} is past the head {head.seq if head else 0}")

    async def _require_member(self, place: Place) -> None:
        joined = (await self._parts.store.members.joined(place.cid, [place.device.uid]))[0]
        if joined is None:
            raise NotAMember(f"{place.device.uid} is not a member of {place.cid}")

    async def fetch(self, decision: Fetch) -> None:
        """Answer a pull. Raises PushpullError."""
        if decision.after is None:
            await self._fetch_backward(decision)
        else:
            await self._fetch_forward(decision, decision.after)

    async def _fetch_forward(self, decision: Fetch, after: int) -> None:
        place, parts = decision.place, self._parts
        feed = parts.feeds.get(place.cid)
        if feed is None:
            raise StoreUnavailable(f"the log of {place.cid} is being read anew: pull again", retry_after_ms=500)
        if place.pulling:
            raise RateLimited(f"a forward pull of {place.cid} is under way: one at a time", retry_after_ms=100)
        _require_clear(feed)
        place.pulling, sent_before = True, place.window.sent
        try:
            if after > feed.tail.head:
                await self._require_head(feed.cid, after)
            start = max(after, place.oldest - 1)
            page = await parts.reader.page(
                feed, start, limit=decision.limit, max_bytes=parts.settings.delivery.page_bytes
            )
            if page.upto > feed.tail.head:  # the feed has not heard of it, nor whether this member was removed before
                await self._require_member(place)
        finally:
            place.pulling = False
        if not place.attached:
            return
        _require_clear(feed)
        # It stood at `after` when it pulled; what was sent since has carried it on if that began where it stood.
        stands = max(after, place.window.sent) if after >= sent_before else start
        self._answer(feed, place, replace(page, after=after), None, stands)

    def fetch_held(self, decision: Fetch) -> bool:
        """Answer a forward pull from the tail, at once, with bytes shared by all who ask for the same.

        False: the tail does not hold it, or not now; it must be fetched.
        """
        place, after = decision.place, decision.after
        feed = self._parts.feeds.get(place.cid)
        if after is None or feed is None or feed.held or place.pulling or after > feed.tail.head:
            return False
        start = max(after, place.oldest - 1)
        cut = feed.cut(start, limit=decision.limit, told=place.mode is Mode.NOTIFY)
        if cut is None:
            return False
        page, frame = cut
        if start == after:
            self._answer(feed, place, page, frame, start)
        else:
            self._answer(feed, place, replace(page, after=after), None, start)
        return True

    def _answer(self, feed: Feed, place: Place, page: Page, frame: bytes | None, stands: int) -> None:
        """Write a page that was pulled; `frame` None: it has none yet. `stands`: where the device is."""
        self._parts.hub.trimmed(feed, place, stands=stands)
        self._parts.metrics.pulls.inc()
        if frame is not None:
            self._session.connection.share(frame)
        else:
            self._write(feed.frame(page))
        self._parts.hub.pulled(feed, place, page)

    async def _fetch_backward(self, decision: Fetch) -> None:
        answer = await history.backward(
            self._parts,
            decision.place.cid,
            decision.before,
            limit=decision.limit,
            reader=self._session.uid,
            rid=decision.rid,
        )
        self._write(answer.body)


def _require_clear(feed: Feed) -> None:
    """Raise StoreUnavailable while nothing of this log may go out. A doubt is over within milliseconds."""
    if feed.held:
        wait_ms = 500 if feed.resetting else 100
        raise StoreUnavailable(f"the log of {feed.cid} is being read anew: pull again", retry_after_ms=wait_ms)
