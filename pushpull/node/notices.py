"""Notices: there is something up to here, come and get it.

They go in rounds, one at most per `notify_interval_ms` and conversation; for those who have said that they have
something else on the screen, per `notify_away_ms`. A session whose last bytes have not left its
buffer is passed over and rung at the next round.

A small message rides inline, as a `messages` frame, to those who stand exactly at its `after`.
Mentions cut through: the one who is mentioned is rung at once, with `mentioned`.

A notice says no more than the tail has, though the log may be known to have more (it diverged and is being read): who
pulled what is not here yet would get nothing, and would not be told again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.delivery.shedding import Extra
from pushpull.delivery.tail import Page
from pushpull.model import Mode
from pushpull.node.background import Background
from pushpull.node.feed import Cadence, Feed
from pushpull.node.metrics import Metrics
from pushpull.node.relief import Relief
from pushpull.node.rounds import Pace, Rounds
from pushpull.settings import Settings


class Notices:
    def __init__(
        self, settings: Settings, metrics: Metrics, background: Background, pace: Pace, relief: Relief
    ) -> None:
        self._settings = settings
        self._relief = relief
        self._metrics = metrics
        self._noticing = Rounds(_Noticing(self, settings), pace, background, name="notices")
        self._telling = Rounds(_Telling(self, settings), pace, background, name="notices to those who look elsewhere")

    def ring(self, feed: Feed) -> None:
        """The feed has news for those who are notified."""
        if feed.noticed:
            self._noticing.owe(feed)
        else:
            feed.told = feed.tail.head
        if feed.away:
            self._telling.owe(feed)

    def mention_all(self, feed: Feed) -> None:
        """The news that comes next mentions everybody: it does not wait, and says so."""
        feed.noticing.mentioned = bool(feed.noticed)
        feed.telling.mentioned = bool(feed.away)

    def ring_one(self, feed: Feed, place: Place, *, mentioned: bool = False) -> None:
        """Notify one place at once: it is behind as it attaches, or it was mentioned."""
        frame = frames.notice(feed.cid, head=feed.tail.head, count=feed.head.count, mentioned=mentioned)
        place.notified = feed.tail.head
        place.connection.write(frame)
        self._metrics.notices.inc()

    # ------------------------------------------------------------------------------------------------ the rounds

    def serve(self, feed: Feed, places: Sequence[Place], told: bool) -> bool:
        """Ring these places; True when some could not take it."""
        head = feed.tail.head
        notice = frames.notice(feed.cid, head=head, count=feed.head.count, mentioned=told)
        page, inline = (None, b"") if told else self._inline(feed, places[0].window.sent, head)
        skipped = False
        for place in places:
            skipped |= self._ring_place(place, head, notice, page, inline)
        return skipped

    def _inline(self, feed: Feed, after: int, head: int) -> tuple[Page | None, bytes]:
        """The frame (after, head] when it is small enough to ride along."""
        limit = self._settings.delivery.inline_max_bytes
        page = feed.tail.page(after, limit=self._settings.delivery.page_limit, max_bytes=limit)
        if page is None or not page.items or page.upto != head or sum(map(len, page.items)) > limit:
            return None, b""
        if self._relief.sheds(Extra.INLINE):
            return None, b""
        return page, feed.frame(page, head=head)

    def _ring_place(self, place: Place, head: int, notice: bytes, page: Page | None, inline: bytes) -> bool:
        """Ring one place; True when it is owed a notice and could not take it."""
        window = place.window
        if window.sent >= head or place.notified >= head or place.mode is not Mode.NOTIFY or not place.attached:
            return False
        if page is not None and window.sent == page.after:
            if not place.connection.offer(inline, 0):
                return True
            window.hand(page.upto, page.upto_id)
            self._metrics.deliveries.inc(len(page.items))
        else:
            if not place.connection.offer(notice, 0):
                return True
            self._metrics.notices.inc()
        place.notified = head
        return False


class _Noticing:
    """Rounds for those who are notified and pull."""

    def __init__(self, notices: Notices, settings: Settings) -> None:
        self._notices = notices
        self._settings = settings

    def cadence(self, feed: Feed) -> Cadence:
        return feed.noticing

    def receivers(self, feed: Feed) -> Collection[Place]:
        return feed.noticed

    def wanted_s(self, feed: Feed) -> float:
        return self._settings.delivery.notify_interval_ms / 1000

    def urgent(self, feed: Feed) -> bool:
        return self.cadence(feed).mentioned

    def begin(self, feed: Feed) -> bool:
        """Whether this round says `mentioned`."""
        cadence = self.cadence(feed)
        mentioned, cadence.mentioned = cadence.mentioned, False
        return mentioned

    def serve(self, feed: Feed, places: Sequence[Place], told: bool) -> bool:
        feed.told = feed.tail.head  # what they pull ends here, so that they stand together again
        return self._notices.serve(feed, places, told)


class _Telling(_Noticing):
    """Rounds for those who have something else on the screen, or nothing: so seldom that a badge is kept."""

    def cadence(self, feed: Feed) -> Cadence:
        return feed.telling

    def receivers(self, feed: Feed) -> Collection[Place]:
        return feed.away

    def wanted_s(self, feed: Feed) -> float:
        return self._settings.delivery.notify_away_ms / 1000

    def serve(self, feed: Feed, places: Sequence[Place], told: bool) -> bool:
        return self._notices.serve(feed, places, told)
