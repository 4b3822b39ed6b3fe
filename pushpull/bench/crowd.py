"""What the devices of one load process have in common: counts, times, and the frames that were seen before.

Theory of operation. A frame that goes to many members is the same bytes for each. So it is parsed when the first
device gets it, and every other device only has to recognise it: by the whole chunk that came out of the socket, or by
the first bytes of a frame too large to come in one. A message's body says when it was sent; one that comes alone is
timed as it arrives, of a page only the moment is noted, with the page, and its messages are timed by `fold`.

Bounded: SEEN_MAX frames are remembered, then all are forgotten and parsed anew when they come again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, Literal

from pushpull.bench import wire
from pushpull.bench.spread import Spread, now_ticks

SEEN_MAX: Final = 20_000
ERRORS_MAX: Final = 5

Acks = Literal["never", "at_once", "delayed"]


class Seen:
    """A `messages` frame: covers (after, upto]. `end`: the position of who has it. `stamps`: when each was sent."""

    __slots__ = ("after", "arrivals", "cid", "end", "head", "stamps", "upto")

    def __init__(self, cid: bytes, after: int, end: tuple[int, str], head: int, stamps: list[int]) -> None:
        self.cid = cid
        self.after = after
        self.upto = end[0]
        self.end = end
        self.head = head
        self.stamps = stamps
        self.arrivals: dict[int, int] = {}  # tick → devices that got it then; only of a page


class Crowd:
    """`acks`: when a device acknowledges. `pulls`: whether it comes for what it is notified of."""

    def __init__(self, *, acks: Acks = "at_once", pulls: bool = True, pull_limit: int = 500) -> None:
        self.acks = acks
        self.pulls = pulls
        self.pull_limit = pull_limit
        self.deflates = False  # who dials now offers permessage-deflate
        self.heads_only = False  # pages are only counted: what is in them does not matter
        self.live = 0
        self.lost = 0
        self.frames = 0  # `messages` frames
        self.items = 0  # messages that a device had not had before
        self.repeated = 0  # messages that a device had already
        self.gaps = 0
        self.notices = 0
        self.pulled = 0
        self.acked = 0  # ack frames
        self.sent = 0
        self.received_bytes = 0
        self.delivery = Spread()
        self.answer = Spread()  # from a send to its `sent`
        self.opening = Spread()  # from dialling to live
        self.errors: Counter[str] = Counter()
        self.on_sent: Callable[[int], None] = lambda number: None
        self.chunk = b""  # the last chunk that was one whole frame of messages …
        self.chunk_seen: Seen | None = None  # … and that frame
        self._seen: dict[tuple[bytes, bytes, bytes], Seen] = {}
        self._unfolded: list[Seen] = []

    # ------------------------------------------------------------------------------------------------ frames

    def recognise(self, head: bytes) -> Seen | None:
        """The frame that begins like this, where it was seen before (or need not be)."""
        match = wire.HEAD.match(head)
        if match is None:
            return None
        cid, after, upto, upto_id = match.groups()
        seen = self._seen.get((cid, after, upto_id))
        if seen is None and self.heads_only:
            return Seen(cid, int(after), (int(upto), upto_id.decode()), 0, [])
        return seen

    def messages(self, payload: bytes) -> Seen | None:
        """A whole `messages` frame. None where it does not begin as such a frame does."""
        match = wire.HEAD.match(payload)
        if match is None:
            return None
        cid, after, upto, upto_id = match.groups()
        key = (cid, after, upto_id)
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= SEEN_MAX:
                self._seen.clear()
            stamps = [] if self.heads_only else [int(stamp) for stamp in wire.STAMP.findall(payload)]
            head = wire.TAIL_HEAD.search(payload, max(0, len(payload) - 100))
            seen = Seen(cid, int(after), (int(upto), upto_id.decode()), int(head[1]) if head else 0, stamps)
            self._seen[key] = seen
        return seen

    def arrived(self, seen: Seen) -> None:
        """A device got these messages for the first time."""
        now = now_ticks()
        stamps = seen.stamps
        if len(stamps) == 1:
            self.delivery.add(now - stamps[0])
        elif stamps:
            if not seen.arrivals:
                self._unfolded.append(seen)
            seen.arrivals[now] = seen.arrivals.get(now, 0) + 1

    def fold(self) -> None:
        """Time the messages of the pages that arrived."""
        for seen in self._unfolded:
            for tick, devices in seen.arrivals.items():
                for stamp in seen.stamps:
                    self.delivery.add(tick - stamp, devices)
            seen.arrivals = {}
        self._unfolded.clear()

    # ------------------------------------------------------------------------------------------------ counts

    def wrong(self, what: str) -> None:
        """Something that should not happen; a few kinds are kept, all are counted."""
        if what in self.errors or len(self.errors) < ERRORS_MAX:
            self.errors[what] += 1
        else:
            self.errors["others"] += 1

    def restart_counts(self) -> None:
        """Count from here on."""
        self.fold()
        self.frames = self.items = self.repeated = self.gaps = self.notices = self.pulled = self.acked = self.sent = 0
        self.received_bytes = 0
        self.delivery, self.answer = Spread(), Spread()
        self.errors.clear()
