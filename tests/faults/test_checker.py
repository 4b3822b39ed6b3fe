"""The judge of the fault runs is judged first: each kind of violation is planted once, and must be found, alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from pushpull.model import Cid, LogId, Uid
from tests.faults import history
from tests.faults.checker import Row, Stored, judge
from tests.faults.history import (
    Answered,
    Applied,
    Began,
    Crashed,
    Event,
    Joining,
    Left,
    Parted,
    Told,
    Tried,
    Withdrawn,
)
from tests.faults.verdict import Verdict

ROOM, ALICE, BOB = Cid("room"), Uid("alice"), Uid("bob")


def at(seq: int, digest: int = 7) -> LogId:
    return LogId(f"{seq}-{digest}")


def stored(*seqs: int) -> list[Stored]:
    return [Stored(at(seq), ALICE, f"c{seq}") for seq in seqs]


def sent(seq: int) -> list[Event]:
    """Message `seq` was sent and confirmed."""
    return [
        Tried(cid=ROOM, sender=ALICE, cmid=f"c{seq}", connection="a"),
        Answered(cid=ROOM, sender=ALICE, cmid=f"c{seq}", id=at(seq)),
    ]


def shows(seq: int, device: str = "phone", digest: int = 7) -> Applied:
    return Applied(device=device, cid=ROOM, id=at(seq, digest), sender=ALICE, cmid=f"c{seq}")


def told(delivered: int, read: int) -> Told:
    return Told(device="phone", user=BOB, cid=ROOM, delivered=delivered, read=read)


def good() -> list[Event]:
    """Three messages, confirmed, shown on the phone from the beginning and on the laptop from the second on."""
    events: list[Event] = [
        Began(device="phone", cid=ROOM, pos=LogId("0-0")),
        Began(device="laptop", cid=ROOM, pos=at(1)),
    ]
    for seq in (1, 2, 3):
        events += sent(seq)
        events.append(shows(seq))
    return [*events, told(1, 0), told(3, 0), told(3, 2), shows(2, "laptop"), shows(3, "laptop")]


LOG = {ROOM: stored(1, 2, 3)}


def kinds(verdict: Verdict) -> list[str]:
    return [violation.kind for violation in verdict.violations]


def test_a_good_run_has_no_violations_and_its_counts_are_stated() -> None:
    verdict = judge(good(), LOG, rows=[Row(BOB, ROOM, joined=0, read=2, unread=1)])

    assert verdict.violations == []
    assert (verdict.sends, verdict.confirmed, verdict.deliveries) == (3, 3, 5)


def without(events: list[Event], *gone: Event) -> list[Event]:
    assert all(event in events for event in gone)
    return [event for event in events if event not in gone]


def leaving() -> list[Event]:
    """Two messages on Bob's phone; then he is removed."""
    began = Began(device="phone", cid=ROOM, pos=LogId("0-0"), user=BOB)
    return [began, *sent(1), shows(1), *sent(2), shows(2), Parted(user=BOB, cid=ROOM)]


PLANTED: dict[str, Callable[[], Verdict]] = {
    "lost": lambda: judge([*good(), *sent(4)], LOG),
    "missing": lambda: judge(without(good(), shows(2)), LOG),
    "twice": lambda: judge([*good(), shows(2)], LOG),
    "order": lambda: judge([*without(good(), shows(2)), shows(2)], LOG, complete=False),
    "invented": lambda: judge(without(good(), *sent(3)), LOG, complete=True),
    "backward": lambda: judge([*good(), told(2, 2)], LOG),
    "past": lambda: judge([*good(), told(4, 2)], LOG),
    "two_ids": lambda: judge([*good(), Answered(cid=ROOM, sender=ALICE, cmid="c3", id=at(3, 8))], LOG),
    "refused": lambda: judge(
        [*without(good(), sent(3)[1]), Answered(cid=ROOM, sender=ALICE, cmid="c3", code="store_unavailable")], LOG
    ),
    "unordered": lambda: judge([*sent(2), *sent(1)], {ROOM: stored(1, 2)}),
    "leaked": lambda: judge([*leaving(), *sent(3), shows(3)], LOG, complete=False),
    "kept": lambda: judge([*leaving(), *sent(3)], {ROOM: stored(1, 2)}, may_lose=True),
    "behind": lambda: judge(good(), LOG, rows=[Row(BOB, ROOM, joined=0, read=2, unread=1, head=3, delivered=2)]),
    "unread": lambda: judge(good(), LOG, rows=[Row(BOB, ROOM, joined=0, read=2, unread=2)]),
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_violation_is_found(kind: str) -> None:
    assert kind in kinds(PLANTED[kind]())


@pytest.mark.parametrize("kind", sorted(PLANTED.keys() - {"order", "invented"}))
def test_a_planted_violation_is_taken_for_nothing_else(kind: str) -> None:
    assert set(kinds(PLANTED[kind]())) == {kind}


def test_a_message_that_the_log_lost_may_not_stay_on_a_screen() -> None:
    """A failover lost 3; another message stands there now. Who was not told shows a message that is no more."""
    events = [
        *good(),
        Tried(cid=ROOM, sender=ALICE, cmid="d3"),
        Answered(cid=ROOM, sender=ALICE, cmid="d3", id=at(3, 9)),
    ]
    log = {ROOM: [*stored(1, 2), Stored(at(3, 9), ALICE, "d3")]}
    anew = [Applied(device=device, cid=ROOM, id=at(3, 9), sender=ALICE, cmid="d3") for device in ("phone", "laptop")]
    withdrawn = [Withdrawn(device=device, cid=ROOM, pos=at(2)) for device in ("phone", "laptop")]

    assert judge([*events, *withdrawn, *anew], log, may_lose=True).violations == []
    assert kinds(judge([*events, withdrawn[0], anew[0]], log, may_lose=True)) == ["invented", "missing"]
    assert "lost" in kinds(judge([*events, *withdrawn, *anew], log))


def test_a_crash_excuses_what_was_confirmed_shortly_before_it_and_nothing_else() -> None:
    early = Answered(cid=ROOM, sender=ALICE, cmid="c3", id=at(3), at=10.0)
    events = [*sent(1), *sent(2), sent(3)[0], early]

    assert judge([*events, Crashed(at=11.0, loses_s=1.5)], {ROOM: stored(1, 2)}).violations == []
    assert kinds(judge([*events, Crashed(at=13.0, loses_s=1.5)], {ROOM: stored(1, 2)})) == ["lost"]


def test_a_retry_after_a_crash_may_be_confirmed_at_another_place_than_what_it_lost() -> None:
    lost = Answered(cid=ROOM, sender=ALICE, cmid="c3", id=at(4), at=10.0)
    anew = Answered(cid=ROOM, sender=ALICE, cmid="c3", id=at(3), at=19.0)
    events = [*sent(1), *sent(2), sent(3)[0], lost, Crashed(at=11.0, loses_s=1.5), anew]

    assert judge(events, {ROOM: stored(1, 2, 3)}).violations == []
    assert kinds(judge([*events, msgspec.structs.replace(anew, id=at(4))], {ROOM: stored(1, 2, 3)})) == ["two_ids"]


def test_what_was_lost_and_sent_again_may_stand_behind_what_was_under_way() -> None:
    events = [*sent(1), *sent(2), *sent(3)]
    log = {ROOM: [*stored(1), Stored(at(2), ALICE, "c3"), Stored(at(3), ALICE, "c2")]}

    assert "unordered" not in kinds(judge(events, log, may_lose=True))
    assert "unordered" in kinds(judge([event for event in events if isinstance(event, Tried)], log))


def test_who_was_told_to_have_left_lacks_nothing_and_begins_anew_after_joining_again() -> None:
    left = [*leaving(), Left(device="phone", cid=ROOM), *sent(3)]
    again = Began(device="phone", cid=ROOM, pos=LogId("0-0"), user=BOB)
    back = [*left, Joining(user=BOB, cid=ROOM), again, shows(1), shows(2), shows(3)]

    assert judge(left, LOG).violations == []
    assert judge(back, LOG).violations == []


def test_what_was_under_way_when_a_member_left_is_no_leak() -> None:
    events = [*leaving()[:-1], sent(3)[0], leaving()[-1], sent(3)[1], shows(3), Left(device="phone", cid=ROOM)]

    assert judge(events, LOG).violations == []


def test_a_retry_that_is_answered_twice_with_the_same_id_is_fine() -> None:
    assert judge([*good(), *sent(3)], LOG).violations == []


def test_a_send_without_an_answer_may_be_stored_or_not() -> None:
    tried = Tried(cid=ROOM, sender=ALICE, cmid="c4", connection="a")

    assert judge([*good(), tried], LOG).violations == []
    assert judge([*good(), tried, shows(4), shows(4, "laptop")], {ROOM: stored(1, 2, 3, 4)}).violations == []


def test_a_device_that_is_still_behind_lacks_nothing_yet_but_may_have_no_hole() -> None:
    behind = without(good(), shows(3))

    assert judge(behind, LOG, complete=False).violations == []
    assert kinds(judge(without(good(), shows(2)), LOG, complete=False)) == ["missing"]


def test_the_same_message_stored_twice_is_found() -> None:
    log = {ROOM: [*stored(1, 2, 3), Stored(at(4), ALICE, "c3")]}

    assert "two_ids" in kinds(judge([*good(), shows(4), shows(4, "laptop")], log))


def test_quiet_messages_and_those_before_the_join_are_not_unread() -> None:
    log = {ROOM: [*stored(1, 2), Stored(at(3), ALICE, "c3", quiet=True), *stored(4)]}
    rows = [Row(BOB, ROOM, joined=1, read=0, unread=2)]

    assert judge([], log, rows=rows).violations == []


def test_a_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "history"
    history.write(path, good()[:3])
    history.write(path, good()[3:])

    assert history.read(path) == good()
