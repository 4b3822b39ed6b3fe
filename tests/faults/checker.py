"""Judges a run: from its history and from what the logs hold in the end, whether the service kept its promises.

    lost        a send was confirmed and its message is not in the log
    missing     a device does not show a message of the log that it should
    twice       a device showed a message again
    order       a device showed a message below or in the place of another it shows
    invented    a device shows what is not in the log, or what nobody tried to send
    leaked      a device showed a message that was sent when its user was no member any more
    kept        a device was never told that its user is no member any more
    backward    a device was told of a cursor below one it was told of before
    past        a device was told of a cursor past the head
    two_ids     one cmid of a sender is in the log twice, or was confirmed at two places
    refused     a send was refused and its message is in the log
    unordered   two sends of one connection are stored in another order than tried
    unread      a row's unread is not what the log says
    behind      a row's head is not the log's, or its delivered cursor is not there although all was acked

Where a failover may lose what was confirmed (`may_lose`), or a Redis crashed within its promise (`Crashed`), a lost
message is no violation by itself; one that a device still shows is, as it was not told.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pushpull.model import Cid, LogId, Uid, seq_of
from tests.faults.history import Answered, Crashed, Event, Tried
from tests.faults.replay import Shown, replay
from tests.faults.verdict import Verdict

LATE_S = 1.0
"""An answer that left before a crash is noted at most so long after it."""

Send = tuple[Cid, Uid, str]
"""Conversation, sender, cmid."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One entry of a log."""

    id: LogId
    sender: Uid
    cmid: str
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What a member's row says in the end; None: not looked at."""

    user: Uid
    cid: Cid
    joined: int
    read: int
    unread: int
    head: int | None = None
    delivered: int | None = None


Logs = Mapping[Cid, Sequence[Stored]]


def judge(
    history: Iterable[Event],
    logs: Logs,
    *,
    rows: Iterable[Row] = (),
    complete: bool = True,
    may_lose: bool = False,
) -> Verdict:
    """Judge a run. `complete`: it ended with every device connected and caught up, so that each shows all it should."""
    verdict = Verdict()
    events = list(history)
    _judge_sends(verdict, events, logs, excused=_excused(events, may_lose=may_lose))
    end = replay(verdict, events, {cid: seq_of(log[-1].id) if log else 0 for cid, log in logs.items()})
    for (device, cid), mine in end.shown.items():
        _judge_shown(verdict, device, cid, mine, logs.get(cid, ()), complete=complete)
        if complete and (cid, mine.user) in end.parted:
            verdict.wrong("kept", cid, device, f"{mine.user} is no member any more and was never told")
    for row in rows:
        _judge_row(verdict, row, logs.get(row.cid, ()))
    return verdict


# ------------------------------------------------------------------------------------------------ sends


def _excused(events: Iterable[Event], *, may_lose: bool) -> Callable[[Answered], bool]:
    """Whether what was confirmed there may be lost by what was promised."""
    crashes = [event for event in events if isinstance(event, Crashed)]

    def excused(answer: Answered) -> bool:
        return may_lose or any(-LATE_S <= crash.at - answer.at <= crash.loses_s for crash in crashes)

    return excused


def _judge_sends(verdict: Verdict, events: Sequence[Event], logs: Logs, *, excused: Callable[[Answered], bool]) -> None:
    places = {cid: _places(verdict, cid, log) for cid, log in logs.items()}
    confirmed: dict[Send, LogId] = {}
    movable: set[Send] = set()
    tried: dict[tuple[str, Cid], dict[tuple[Uid, str], None]] = defaultdict(dict)
    for event in events:
        if isinstance(event, Tried):
            verdict.sends += 1
            if event.connection:
                tried[event.connection, event.cid][event.sender, event.cmid] = None
        elif isinstance(event, Answered):
            _judge_answer(verdict, event, places.get(event.cid, {}), confirmed, movable, excused=excused(event))
    verdict.confirmed = len(confirmed)
    for (connection, cid), order in tried.items():
        stored = [(send, places.get(cid, {}).get(send)) for send in order]
        # What a failover lost and its sender sent again stands behind what was under way then.
        seqs = [seq_of(at) for send, at in stored if at is not None and confirmed.get((cid, *send), at) == at]
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
    confirmed: dict[Send, LogId],
    movable: set[Send],
    *,
    excused: bool,
) -> None:
    who = f"{answer.sender}/{answer.cmid}"
    at = places.get((answer.sender, answer.cmid))
    if answer.id is None:
        if at is not None:
            verdict.wrong("refused", answer.cid, who, f"refused with {answer.code} and stored at {at}")
        return
    send = (answer.cid, answer.sender, answer.cmid)
    before = confirmed.setdefault(send, answer.id)
    if excused:  # after a loss a retry is stored anew, and confirmed where it stands then
        movable.add(send)
        return
    if before != answer.id and send not in movable:
        verdict.wrong("two_ids", answer.cid, who, f"confirmed at {before} and at {answer.id}")
    elif at is None:
        verdict.wrong("lost", answer.cid, who, f"confirmed at {answer.id} and not in the log")
    elif at != answer.id:
        verdict.wrong("two_ids", answer.cid, who, f"confirmed at {answer.id} and stored at {at}")


# ------------------------------------------------------------------------------------------------ in the end


def _judge_shown(
    verdict: Verdict, device: str, cid: Cid, mine: Shown, log: Sequence[Stored], *, complete: bool
) -> None:
    known, there = {entry.id for entry in log}, set(mine.ids)
    strange = [log_id for log_id in mine.ids if log_id not in known]
    if strange:
        verdict.wrong("invented", cid, device, f"{strange[0]} and {len(strange) - 1} more are not in the log")
    lacks = [entry.id for entry in log if seq_of(entry.id) > mine.pos and entry.id not in there]
    if complete and lacks:
        verdict.wrong("missing", cid, device, f"{lacks[0]} and {len(lacks) - 1} more were never shown")
    elif not complete and mine.ids:
        gaps = [log_id for log_id in lacks if seq_of(log_id) < mine.top]
        if gaps:
            verdict.wrong("missing", cid, device, f"{gaps[0]} was passed over")


def _judge_row(verdict: Verdict, row: Row, log: Sequence[Stored]) -> None:
    floor, head = (seq_of(log[0].id), seq_of(log[-1].id)) if log else (1, 0)
    above = max(row.read, floor - 1, row.joined)
    unread = sum(seq_of(entry.id) > above and not entry.quiet for entry in log)
    if row.unread != unread:
        verdict.wrong("unread", row.cid, row.user, f"{row.unread} by its row, {unread} by the log above {above}")
    if row.head not in (None, head):
        verdict.wrong("behind", row.cid, row.user, f"the head is {row.head} by its row, {head} by the log")
    if row.delivered not in (None, head):
        verdict.wrong("behind", row.cid, row.user, f"delivered up to {row.delivered}, the head is {head}")
