"""Judges a run: from its history and from what the logs hold in the end, whether the service kept its promises.

    lost        a send was confirmed and its message is not in the log
    missing     a device does not show a message of the log that it should
    twice       a device showed a message again
    order       a device showed a message below or in the place of another it shows
    invented    a device shows what is not in the log, or what nobody tried to send
    backward    a device was told of a cursor below one it was told of before
    past        a device was told of a cursor past the head
    two_ids     one cmid of a sender is in the log twice, or was confirmed at two places
    refused     a send was refused and its message is in the log
    unordered   two sends of one connection are stored in another order than tried
    unread      a row's unread is not what the log says

Where a failover may lose what was confirmed (`may_lose`) a lost message is no violation by itself; one that a device
still shows is, as it was not told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pushpull.model import Cid, LogId, Uid, seq_of
from tests.faults.history import Answered, Applied, Began, Event, Told, Tried, Withdrawn


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry of a log."""

    id: LogId
    sender: Uid
    cmid: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What a member's row says in the end."""

    user: Uid
    cid: Cid
    joined: int
    read: int
    unread: int


@dataclass(frozen=True, slots=True)
class Violation:
    kind: str
    cid: Cid
    who: str  # a device, or sender/cmid
    what: str


@dataclass(slots=True)
class Verdict:
    """What was looked at, and what is wrong."""

    sends: int = 0
    confirmed: int = 0
    deliveries: int = 0
    violations: list[Violation] = field(default_factory=list)

    def wrong(self, kind: str, cid: Cid, who: str, what: str) -> None:
        self.violations.append(Violation(kind, cid, who, what))


@dataclass(slots=True)
class _Shown:
    """What one device shows of one conversation."""

    pos: int
    ids: list[LogId] = field(default_factory=list)


def judge(
    history: Iterable[Event],
    logs: Mapping[Cid, Sequence[Stored]],
    *,
    rows: Iterable[Row] = (),
    complete: bool = True,
    may_lose: bool = False,
) -> Verdict:
    """Judge a run. `complete`: it ended with every device connected and caught up, so that each shows all it should."""
    verdict = Verdict()
    events = list(history)
    _judge_sends(verdict, events, logs, may_lose=may_lose)
    shown = _replay(verdict, events, logs)
    _judge_shown(verdict, shown, events, logs, complete=complete)
    for row in rows:
        _judge_row(verdict, row, logs.get(row.cid, ()))
    return verdict


# ------------------------------------------------------------------------------------------------ sends


def _judge_sends(
    verdict: Verdict, events: Sequence[Event], logs: Mapping[Cid, Sequence[Stored]], *, may_lose: bool
) -> None:
    places = {cid: _places(verdict, cid, log) for cid, log in logs.items()}
    confirmed: dict[tuple[Cid, Uid, str], LogId] = {}
    tried: dict[tuple[str, Cid], list[tuple[Uid, str]]] = defaultdict(list)
    for event in events:
        if isinstance(event, Tried):
            verdict.sends += 1
            order = tried[event.connection, event.cid]
            if event.connection and (event.sender, event.cmid) not in order:
                order.append((event.sender, event.cmid))
        elif isinstance(event, Answered):
            _judge_answer(verdict, event, places.get(event.cid, {}), confirmed, may_lose=may_lose)
    verdict.confirmed = len(confirmed)
    for (connection, cid), order in tried.items():
        stored = [places.get(cid, {}).get(send) for send in order]
        seqs = [seq_of(log_id) for log_id in stored if log_id is not None]
        if seqs != sorted(seqs):
            verdict.wrong("unordered", cid, connection, f"tried in this order, stored at {seqs}")


def _places(verdict: Verdict, cid: Cid, log: Sequence[Stored]) -> dict[tuple[Uid, str], LogId]:
    """Where each send is in the log."""
    places: dict[tuple[Uid, str], LogId] = {}
    for entry in log:
        before = places.setdefault((entry.sender, entry.cmid), entry.id)
        if before != entry.id:
            verdict.wrong("two_ids", cid, f"{entry.sender}/{entry.cmid}", f"stored at {before} and at {entry.id}")
    return places


def _judge_answer(
    verdict: Verdict,
    answer: Answered,
    places: Mapping[tuple[Uid, str], LogId],
    confirmed: dict[tuple[Cid, Uid, str], LogId],
    *,
    may_lose: bool,
) -> None:
    who = f"{answer.sender}/{answer.cmid}"
    at = places.get((answer.sender, answer.cmid))
    if answer.id is None:
        if at is not None:
            verdict.wrong("refused", answer.cid, who, f"refused with {answer.code} and stored at {at}")
        return
    before = confirmed.setdefault((answer.cid, answer.sender, answer.cmid), answer.id)
    if before != answer.id and not may_lose:  # after a loss a retry is stored anew
        verdict.wrong("two_ids", answer.cid, who, f"confirmed at {before} and at {answer.id}")
    elif at is None and not may_lose:
        verdict.wrong("lost", answer.cid, who, f"confirmed at {answer.id} and not in the log")
    elif at is not None and at != answer.id and not may_lose:
        verdict.wrong("two_ids", answer.cid, who, f"confirmed at {answer.id} and stored at {at}")


# ------------------------------------------------------------------------------------------------ devices


def _replay(
    verdict: Verdict, events: Sequence[Event], logs: Mapping[Cid, Sequence[Stored]]
) -> dict[tuple[str, Cid], _Shown]:
    """What each device shows in the end; judges each step on the way."""
    shown: dict[tuple[str, Cid], _Shown] = {}
    cursors: dict[tuple[str, Cid], tuple[int, int]] = {}
    heads = {cid: seq_of(log[-1].id) if log else 0 for cid, log in logs.items()}
    for event in events:
        match event:
            case Began(device=device, cid=cid, pos=pos):
                shown.setdefault((device, cid), _Shown(seq_of(pos)))
            case Applied(device=device, cid=cid):
                verdict.deliveries += 1
                _apply(verdict, event, shown.setdefault((device, cid), _Shown(0)))
            case Withdrawn(device=device, cid=cid, pos=pos):
                mine = shown.setdefault((device, cid), _Shown(0))
                mine.ids = [log_id for log_id in mine.ids if seq_of(log_id) <= seq_of(pos)]
                mine.pos = min(mine.pos, seq_of(pos)) if not mine.ids else mine.pos
                cursors.pop((device, cid), None)
            case Told(device=device, cid=cid):
                _judge_cursors(verdict, event, cursors.get((device, cid)), heads.get(cid, 0))
                cursors[device, cid] = event.delivered, event.read
    return shown


def _apply(verdict: Verdict, event: Applied, mine: _Shown) -> None:
    if event.id in mine.ids:
        verdict.wrong("twice", event.cid, event.device, f"{event.id} was shown again")
    elif seq_of(event.id) <= (seq_of(mine.ids[-1]) if mine.ids else mine.pos):
        verdict.wrong("order", event.cid, event.device, f"{event.id} was shown after {(mine.ids or [mine.pos])[-1]}")
    else:
        mine.ids.append(event.id)


def _judge_cursors(verdict: Verdict, told: Told, before: tuple[int, int] | None, head: int) -> None:
    now = told.delivered, told.read
    if before is not None and (now[0] < before[0] or now[1] < before[1]):
        verdict.wrong("backward", told.cid, told.device, f"told of {now} after {before}")
    if max(now) > head:
        verdict.wrong("past", told.cid, told.device, f"told of {now}, the head is {head}")


def _judge_shown(
    verdict: Verdict,
    shown: Mapping[tuple[str, Cid], _Shown],
    events: Sequence[Event],
    logs: Mapping[Cid, Sequence[Stored]],
    *,
    complete: bool,
) -> None:
    tried = {(event.cid, event.sender, event.cmid) for event in events if isinstance(event, Tried)}
    for event in events:
        if isinstance(event, Applied) and (event.cid, event.sender, event.cmid) not in tried:
            verdict.wrong("invented", event.cid, event.device, f"{event.id} was shown, nobody tried to send it")
    known = {cid: {entry.id for entry in log} for cid, log in logs.items()}
    for (device, cid), mine in shown.items():
        strange = [log_id for log_id in mine.ids if log_id not in known.get(cid, ())]
        if strange:
            verdict.wrong("invented", cid, device, f"{strange[0]} and {len(strange) - 1} more are not in the log")
        there = set(mine.ids)
        lacks = [entry.id for entry in logs.get(cid, ()) if seq_of(entry.id) > mine.pos and entry.id not in there]
        if complete and lacks:
            verdict.wrong("missing", cid, device, f"{lacks[0]} and {len(lacks) - 1} more were never shown")
        elif not complete and mine.ids:
            gaps = [log_id for log_id in lacks if seq_of(log_id) < seq_of(mine.ids[-1])]
            if gaps:
                verdict.wrong("missing", cid, device, f"{gaps[0]} was passed over")


def _judge_row(verdict: Verdict, row: Row, log: Sequence[Stored]) -> None:
    floor = seq_of(log[0].id) if log else 1
    above = max(row.read, floor - 1, row.joined)
    unread = sum(seq_of(entry.id) > above and not entry.quiet for entry in log)
    if row.unread != unread:
        verdict.wrong("unread", row.cid, row.user, f"{row.unread} by its row, {unread} by the log above {above}")
