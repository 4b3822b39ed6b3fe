"""Goes through a history in order, as the devices lived it, and says what each step breaks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pushpull.model import Cid, LogId, Uid, seq_of
from tests.faults.history import Applied, Began, Event, Joining, Left, Parted, Told, Tried, Withdrawn
from tests.faults.verdict import Verdict

NOBODY = Uid("")


@dataclass(slots=True)
class Shown:
    """What one device shows of one conversation."""

    pos: int
    user: Uid = NOBODY
    ids: dict[LogId, None] = field(default_factory=dict)
    top: int = 0  # the seq of the last of them, else `pos`

    def withdraw(self, pos: int) -> None:
        self.ids = {log_id: None for log_id in self.ids if seq_of(log_id) <= pos}
        self.pos = self.pos if self.ids else min(self.pos, pos)
        self.top = max(map(seq_of, self.ids), default=self.pos)


@dataclass(slots=True)
class End:
    """Where a history ends: what each device shows, and who is no member any more."""

    shown: dict[tuple[str, Cid], Shown] = field(default_factory=dict)
    parted: set[tuple[Cid, Uid]] = field(default_factory=set)


def replay(verdict: Verdict, events: Iterable[Event], heads: Mapping[Cid, int]) -> End:
    """Judge each step on the way."""
    return _Replay(verdict, heads).run(events)


class _Replay:
    def __init__(self, verdict: Verdict, heads: Mapping[Cid, int]) -> None:
        self._verdict = verdict
        self._heads = heads
        self._shown: dict[tuple[str, Cid], Shown] = {}
        self._cursors: dict[tuple[str, Cid], tuple[int, int]] = {}
        self._tried: dict[tuple[Cid, Uid, str], int] = {}  # send -> when it was first tried, as a count of events
        self._parted: dict[tuple[Cid, Uid], int] = {}  # who is out -> since when

    def run(self, events: Iterable[Event]) -> End:
        applied: list[Applied] = []
        for now, event in enumerate(events):
            if isinstance(event, Applied):
                applied.append(event)
                self._apply(event)
            elif isinstance(event, Tried):
                self._tried.setdefault((event.cid, event.sender, event.cmid), now)
            elif isinstance(event, Joining | Parted):
                self._move_member(event, now)
            else:
                self._tell_device(event)
        for event in applied:
            # In the end, because one process may have noted the send later than another its arrival.
            if (event.cid, event.sender, event.cmid) not in self._tried:
                self._verdict.wrong("invented", event.cid, event.device, f"nobody tried to send {event.id}")
        return End(self._shown, set(self._parted))

    def _move_member(self, event: Joining | Parted, now: int) -> None:
        if isinstance(event, Parted):
            self._parted[event.cid, event.user] = now
        else:
            self._parted.pop((event.cid, event.user), None)

    def _tell_device(self, event: Event) -> None:
        match event:
            case Began(device=device, cid=cid, pos=pos, user=user):
                self._shown.setdefault((device, cid), Shown(seq_of(pos), user, top=seq_of(pos)))
            case Told():
                self._judge_cursors(event)
            case Withdrawn() | Left():
                self._withdraw(event)

    def _apply(self, event: Applied) -> None:
        self._verdict.deliveries += 1
        mine = self._shown.setdefault((event.device, event.cid), Shown(0))
        if event.id in mine.ids:
            self._verdict.wrong("twice", event.cid, event.device, f"{event.id} was shown again")
        elif seq_of(event.id) <= mine.top:
            self._verdict.wrong("order", event.cid, event.device, f"{event.id} was shown after seq {mine.top}")
        else:
            mine.ids[event.id] = None
            mine.top = seq_of(event.id)
        since = self._parted.get((event.cid, mine.user))
        if since is not None and self._tried.get((event.cid, event.sender, event.cmid), 0) > since:
            self._verdict.wrong("leaked", event.cid, event.device, f"{event.id} was sent after {mine.user} had left")

    def _withdraw(self, event: Withdrawn | Left) -> None:
        key = event.device, event.cid
        self._cursors.pop(key, None)
        if isinstance(event, Left):
            self._shown.pop(key, None)
        else:
            self._shown.setdefault(key, Shown(0)).withdraw(seq_of(event.pos))

    def _judge_cursors(self, told: Told) -> None:
        key, now, head = (told.device, told.cid), (told.delivered, told.read), self._heads.get(told.cid, 0)
        before = self._cursors.get(key)
        if before is not None and (now[0] < before[0] or now[1] < before[1]):
            self._verdict.wrong("backward", told.cid, told.device, f"told of {now} after {before}")
        if max(now) > head:
            self._verdict.wrong("past", told.cid, told.device, f"told of {now}, the head is {head}")
        self._cursors[key] = now
