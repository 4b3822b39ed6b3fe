"""One conversation as this node serves it: its state, its tail, and the places attached here.

A feed is told of news in two ways: by a bell that carries the entry and names the one before it, and by a read of
the log that starts at the feed's own last id. Either way the tail grows only by what comes next in the log; a bell
that does not fit makes the feed stale, and the log is read.

A read may also find that members were removed. From then on the feed is *doubted*: it takes nothing more and gives
nothing out, until it is known who of those attached here is still a member. So nobody gets what was stored after
their removal, even where the word of it was lost. A bell that speaks of a change which the feed has not read yet
is no more than a reason to read: the removal might be that change.

Nothing here does I/O: a bell or a read goes in, what it changed comes out (Change).
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec
from msgspec.structs import replace

from pushpull.delivery import frames
from pushpull.delivery.place import Place
from pushpull.delivery.policy import Decision, Focus, Way
from pushpull.delivery.ruling import Ruling
from pushpull.delivery.tail import Page, Tail
from pushpull.model import Cid, Head, LogId, Mode, seq_of
from pushpull.settings import Delivery
from pushpull.store.values import Bell, LogRead, Verdict

CUT_MAX: Final = 8
"""Pages kept for those who ask for the same: rung together they stand at one place, latecomers at a few others."""
WHOLE: Final = -1
"""Where a page ends that ended before it had to: the same wherever that was. No seq: 0 is where an empty log ends."""


class Change(msgspec.Struct, frozen=True, gc=False):
    """What a bell or a read did to a feed."""

    news: bool = False  # the tail grew
    mentions: frozenset[str] = frozenset()  # who is mentioned in it, or "*"
    stale: bool = False  # the log must be read
    membership: bool = False  # members or settings changed: the mode may be another
    removals: bool = False  # members were removed: check the local users; the feed is doubted until that is done
    settings: bool = False  # the conversation's settings are others than before
    diverged: LogId | None = None  # the last id common to what devices hold and the log
    epoch: str = ""  # diverged: the epoch in which the feed stood before
    new_epoch: bool = False  # diverged into another log altogether
    deleted: bool = False  # the log was deleted; there is another one under its name


class Cadence:
    """Where the rounds of one kind stand (node.rounds)."""

    __slots__ = ("hurry", "last_at", "mentioned", "running", "upto")

    def __init__(self, upto: int) -> None:
        self.upto = upto  # rounds that are over were about what is up to here
        self.running = False
        self.mentioned = False  # the next round says `mentioned`
        self.last_at = 0.0  # when the last round began
        self.hurry: asyncio.Event | None = None  # between two rounds; set: the next one may not wait


class Feed:
    def __init__(self, cid: Cid, head: Head, settings: Delivery) -> None:
        self.cid = cid
        self.head = head
        self.settings = settings
        self.tail = Tail(head.last_id, max_messages=settings.tail_messages, max_bytes=settings.tail_bytes)
        self.tail.floor = head.floor
        self.ruling = Ruling(members=head.members, own=head.settings, seq=self.tail.head, settings=settings)
        # Places by their way, in the order attached; dicts because a set's order is random.
        self.pushed: dict[Place, None] = {}
        self.gathered: dict[Place, None] = {}
        self.noticed: dict[Place, None] = {}
        self.away: dict[Place, None] = {}
        self.fanned = self.tail.head  # pushes went out up to here
        self.fanning = False
        self.told = self.tail.head  # notices went out up to here
        self.noticing = Cadence(self.tail.head)
        self.telling = Cadence(self.tail.head)
        self.gathering = Cadence(self.tail.head)
        self.idle_since: float | None = None
        self.used_at = 0.0  # when something last went out from the tail
        self.deleted = False
        self._cut: dict[tuple[int, ...], tuple[Page, bytes]] = {}  # pages and frames many ask for; at most CUT_MAX
        self.generation = 0  # grows when the tail stands elsewhere: a page cut before is of another log
        self.resetting = False  # the log diverged and the devices have not been told yet
        self.doubted = False  # members were removed, perhaps some of those attached here
        self.mentioned: set[str] = set()  # while doubted: whom to ring when it is over

    @property
    def decision(self) -> Decision:
        """How those get it who say nothing of their screen: the conversation's own mode."""
        return self.ruling.of(Focus.UNSAID)

    @property
    def mode(self) -> Mode:
        return self.decision.mode

    @property
    def places(self) -> list[Place]:
        return [*self.pushed, *self.gathered, *self.noticed, *self.away]

    @property
    def window_s(self) -> float:
        """How long pushes are gathered for those whose pushes are."""
        return (self.head.settings.push_window_ms or self.settings.push_window_ms) / 1000

    @property
    def held(self) -> bool:
        """Nothing may go out now."""
        return self.resetting or self.doubted

    def knows(self, epoch: str, mver: int) -> bool:
        """Whether what is known here of members and settings is no older than this."""
        return epoch == self.head.epoch and mver <= self.head.mver

    def __bool__(self) -> bool:
        """Whether anyone here is attached."""
        return bool(self.pushed or self.gathered or self.noticed or self.away)

    # ------------------------------------------------------------------------------------------------ places

    def add(self, place: Place) -> None:
        """Attach a place, served in the way it has."""
        self.idle_since = None
        self._served(place.way)[place] = None

    def discard(self, place: Place) -> None:
        self._served(place.way).pop(place, None)

    def _served(self, way: Way) -> dict[Place, None]:
        """The places that are served so."""
        if way is Way.PUSHED:
            return self.pushed
        if way is Way.NOTIFIED:
            return self.noticed
        return self.gathered if way is Way.GATHERED else self.away

    def move(self, place: Place, way: Way) -> None:
        self.discard(place)
        place.way, place.mode = way, way.mode
        self.add(place)

    def judge(self, settings: Delivery | None = None) -> None:
        """Members or settings changed, with `settings` the service's own: who is served how is decided anew."""
        self.settings = settings or self.settings
        self.tail.max_messages, self.tail.max_bytes = self.settings.tail_messages, self.settings.tail_bytes
        self.ruling.judge(members=self.head.members, own=self.head.settings, settings=self.settings)

    # ------------------------------------------------------------------------------------------------ pages

    def cut(self, after: int, *, limit: int, told: bool, redelivery: int = 0) -> tuple[Page, bytes] | None:
        """The page above `after` and its frame, the same object for all who ask for the same; None: not in the tail.

        `told`: the page ends where the last notice pointed. All who were rung together then stand at one place
        again, and the next page is cut once for all of them. What came since has its own notice.
        """
        upto = min(self.told, self.tail.head) if told and after < self.told else self.tail.head
        key = (after, limit, upto, self.head.floor, self.tail.version, redelivery)
        whole = (after, limit, WHOLE, self.head.floor, self.tail.version, redelivery)
        known = self._cut.get(key) or self._cut.get(whole)
        if known is None:
            page = self.tail.page(after, limit=limit, max_bytes=self.settings.page_bytes, upto=upto)
            if page is None:
                return None
            if len(self._cut) >= CUT_MAX:
                self._cut.clear()
            known = page, self.frame(page, head=max(upto, page.upto), redelivery=redelivery)
            self._cut[whole if page.upto < upto else key] = known
        return known

    def frame(self, page: Page, *, head: int | None = None, redelivery: int = 0) -> bytes:
        """The `messages` frame of `page`; `head` may be less than the log's, a device keeps the highest it saw."""
        return frames.messages(
            self.cid,
            page.after,
            page.upto,
            page.upto_id,
            page.items,
            head=self.tail.head if head is None else head,
            floor=self.head.floor,
            redelivery=redelivery,
        )

    # ------------------------------------------------------------------------------------------------ news

    def take_bell(self, bell: Bell) -> Change:
        if self.doubted or bell.epoch != self.head.epoch:
            return Change(stale=True)
        if bell.id == self.tail.head_id:
            return Change(stale=bell.mver != self.head.mver)
        if seq_of(bell.id) < self.tail.head:
            # Read from the log before its bell was heard, and held; else a log that went back rings anew.
            return Change(stale=self.tail.id_of(seq_of(bell.id)) != bell.id)
        if bell.prev != self.tail.head_id or bell.entry is None or bell.mver != self.head.mver:
            return Change(stale=True)
        self.tail.floor = bell.floor
        self.tail.extend([bell.entry])
        self.head = replace(self.head, last_id=bell.id, floor=bell.floor, count=bell.count)
        return Change(news=True, mentions=frozenset(bell.entry.mentions))

    def take_read(self, read: LogRead) -> Change:
        """Take a read that `fits`."""
        if read.verdict is Verdict.DELETED:
            return Change(deleted=True)
        diverged = read.verdict is Verdict.DIVERGED
        before, self.head = self.head, read.head if diverged else self._newer_head(read.head)
        settings = read.head.settings != before.settings
        another = read.head.epoch != before.epoch
        membership = read.head.mver != before.mver or another
        removals = read.head.removals != before.removals or another
        if membership:
            self.judge()
        self.doubted = removals and bool(self)
        if diverged:
            self._stand_at(read.common)
            self.fanned = min(self.fanned, self.tail.head)
            self.told = min(self.told, self.tail.head)
            anew = read.head.epoch != before.epoch and seq_of(read.common) < read.head.floor
            return Change(
                stale=True,
                membership=membership,
                removals=self.doubted,
                settings=settings,
                diverged=read.common,
                epoch=before.epoch,
                new_epoch=anew,
            )
        if read.verdict is Verdict.TRIMMED:
            first = read.entries[0].seq if read.entries else read.head.seq + 1
            self._stand_at(LogId(f"{first - 1}-0") if read.entries else read.head.last_id)
            self.fanned = max(self.fanned, self.tail.head)
        self.tail.floor = self.head.floor
        fresh_entries = [entry for entry in read.entries if entry.seq > self.tail.head]
        self.tail.extend(fresh_entries)
        mentions = frozenset(who for entry in fresh_entries for who in entry.mentions)
        return Change(
            news=bool(fresh_entries),
            mentions=mentions,
            stale=read.more,
            membership=membership,
            removals=self.doubted,
            settings=settings,
        )

    def raise_floor(self, floor: int) -> None:
        """Somebody saw this floor in the log; it only rises."""
        if floor > self.head.floor:
            self.head = replace(self.head, floor=floor)
            self.tail.floor = floor

    def let_go(self) -> None:
        """The log has other words under the same ids: what the tail holds is read again where it is asked for."""
        self.tail.stand_at(self.tail.head_id)
        self.tail.floor = self.head.floor

    def set_epoch(self, epoch: str) -> None:
        self.head = replace(self.head, epoch=epoch)

    def fits(self, read: LogRead, anchor: LogId) -> bool:
        """Whether `read`, anchored at `anchor`, can be taken though bells may have moved the tail meanwhile.

        One that went on from the anchor can: what the tail has already is passed over. Any other is asked for anew.
        """
        return anchor == self.tail.head_id or read.verdict in (Verdict.SAME, Verdict.REDACTED)

    def _stand_at(self, log_id: LogId) -> None:
        self.tail.stand_at(log_id)
        self.generation += 1

    def _newer_head(self, head: Head) -> Head:
        if head.seq >= self.tail.head or head.epoch != self.head.epoch:
            return head
        return replace(head, last_id=self.head.last_id, floor=self.head.floor, count=self.head.count)
