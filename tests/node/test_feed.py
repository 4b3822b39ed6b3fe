"""A feed is told by bells and by reads, in any order, and its tail grows only by what comes next in the log."""

from __future__ import annotations

from typing import Any

import pytest

from pushpull.delivery.place import Device, Place
from pushpull.delivery.policy import Way
from pushpull.model import ConversationSettings, LogId, Mode, SessionId
from pushpull.node.feed import Change, Feed
from pushpull.settings import Delivery
from pushpull.store.values import LogRead, Verdict
from tests.delivery.words import ALICE, ROOM, Connection, entry, log_id
from tests.node.fakes import bell, head


def feed(seq: int = 5, **changes: Any) -> Feed:
    """A feed that stands at `seq`, its last three entries in the tail."""
    made = Feed(ROOM, head(seq - 3, **changes), Delivery(push_max_members=10))
    made.take_read(LogRead(head(seq, **changes), tuple(entry(at) for at in range(seq - 2, seq + 1))))
    made.fanned = made.told = seq
    return made


def read(first: int, last: int, **changes: Any) -> LogRead:
    """A read of `first … last` of a log that ends there."""
    state = head(last, **changes.pop("head", {}))
    return LogRead(state, tuple(entry(at) for at in range(first, last + 1)), **changes)


# ---------------------------------------------------------------------------------------------------- bells


def test_a_bell_that_carries_the_next_entry_extends_the_tail() -> None:
    told = feed(5)

    change = told.take_bell(bell(entry(6, mentions=("bob",)), prev=log_id(5), floor=2, count=4))

    assert change == Change(news=True, mentions=frozenset({"bob"}))
    assert (told.tail.head_id, told.head.last_id, told.head.floor, told.head.count) == (log_id(6), log_id(6), 2, 4)
    assert (told.tail.floor, told.tail.id_of(6)) == (2, log_id(6))


@pytest.mark.parametrize(
    "changes",
    [
        {"prev": log_id(4)},
        {"prev": log_id(5, digest=1)},
        {"entry": None},
        {"epoch": "2"},
    ],
)
def test_a_bell_that_does_not_fit_makes_the_feed_stale_and_changes_nothing(changes: dict[str, Any]) -> None:
    told = feed(5)

    assert told.take_bell(bell(entry(6), **{"prev": log_id(5)} | changes)) == Change(stale=True)
    assert (told.tail.head, told.head.seq) == (5, 5)


def test_a_bell_after_a_lost_one_makes_the_feed_stale() -> None:
    assert feed(5).take_bell(bell(entry(7), prev=log_id(6))) == Change(stale=True)


def test_a_bell_that_is_late_is_old_news() -> None:
    assert feed(5).take_bell(bell(entry(4), prev=log_id(3))) == Change()
    assert feed(5).take_bell(bell(entry(5), prev=log_id(4))) == Change()


def test_a_bell_for_another_entry_at_a_place_we_hold_tells_of_a_lost_tail() -> None:
    assert feed(5).take_bell(bell(entry(4, digest=1), prev=log_id(3))) == Change(stale=True)
    assert feed(5).take_bell(bell(entry(5, digest=1), prev=log_id(4))) == Change(stale=True)


def test_a_bell_without_a_message_that_says_members_changed_makes_the_feed_stale() -> None:
    quiet = bell(entry(5), prev=log_id(5), entry=None, mver=2)

    assert feed(5).take_bell(quiet) == Change(stale=True)


def test_a_message_with_another_mver_is_read_first_for_it_may_say_that_somebody_was_removed() -> None:
    told = feed(5)

    assert told.take_bell(bell(entry(6), prev=log_id(5), mver=2)) == Change(stale=True)
    assert told.tail.head == 5


# ---------------------------------------------------------------------------------------------------- reads


def test_a_read_extends_the_tail_and_brings_the_head() -> None:
    told = feed(5)

    change = told.take_read(read(6, 8, head={"floor": 3, "count": 2}))

    assert change == Change(news=True)
    assert (told.tail.head, told.head.count, told.tail.floor) == (8, 2, 3)


def test_a_read_that_was_cut_asks_for_more() -> None:
    told = feed(5)

    change = told.take_read(LogRead(head(90), (entry(6), entry(7)), more=True))

    assert (change.news, change.stale, told.tail.head, told.head.seq) == (True, True, 7, 90)


def test_a_read_that_finds_nothing_new_is_no_news() -> None:
    assert feed(5).take_read(LogRead(head(5), ())) == Change()


def test_bells_heard_during_a_read_are_not_taken_twice() -> None:
    told = feed(5)
    anchor = told.tail.head_id
    told.take_bell(bell(entry(6), prev=log_id(5)))
    overlapping = read(6, 7)

    assert told.fits(overlapping, anchor)
    assert told.take_read(overlapping).news
    assert [told.tail.id_of(at) for at in (6, 7)] == [log_id(6), log_id(7)]
    assert told.tail.bytes == sum(map(len, told.tail.page(2, limit=9, max_bytes=9_999).items))  # type: ignore[union-attr]


def test_a_read_older_than_the_bells_heard_since_does_not_take_the_head_back() -> None:
    told = feed(5)
    told.take_bell(bell(entry(6), prev=log_id(5), count=6))
    told.take_bell(bell(entry(7), prev=log_id(6), count=7))

    assert not told.take_read(read(6, 6)).news
    assert (told.head.last_id, told.head.count, told.tail.head) == (log_id(7), 7, 7)


@pytest.mark.parametrize(
    ("verdict", "moved", "fits"),
    [
        (Verdict.SAME, True, True),
        (Verdict.REDACTED, True, True),
        (Verdict.TRIMMED, True, False),
        (Verdict.DIVERGED, True, False),
        (Verdict.TRIMMED, False, True),
        (Verdict.DIVERGED, False, True),
    ],
)
def test_only_a_read_that_went_on_from_its_anchor_fits_a_tail_that_moved(
    verdict: Verdict, moved: bool, fits: bool
) -> None:
    told = feed(5)
    if moved:
        told.take_bell(bell(entry(6), prev=log_id(5)))

    assert told.fits(read(6, 7, verdict=verdict), log_id(5)) is fits


def test_a_log_trimmed_past_the_tail_is_taken_up_at_its_floor() -> None:
    told = feed(5)

    change = told.take_read(read(20, 22, head={"floor": 20}, verdict=Verdict.TRIMMED))

    assert (change.news, change.diverged) == (True, None)
    assert (told.tail.base, told.tail.head, told.fanned, told.generation) == (20, 22, 19, 1)


def test_a_log_trimmed_to_nothing_leaves_an_empty_tail_at_its_head() -> None:
    told = feed(5)

    change = told.take_read(LogRead(head(9, floor=10), (), Verdict.TRIMMED))

    assert not change.news
    assert (told.tail.head_id, len(told.tail), told.fanned) == (log_id(9), 0, 9)


def test_a_diverged_log_takes_the_tail_back_to_the_last_common_id() -> None:
    told = feed(5)
    lost = LogRead(head(4, count=3), (), Verdict.DIVERGED, log_id(3))

    change = told.take_read(lost)

    assert change == Change(stale=True, diverged=log_id(3), epoch="1")
    assert (told.tail.head_id, len(told.tail), told.fanned, told.told) == (log_id(3), 0, 3, 3)
    assert (told.head.seq, told.head.count, told.generation) == (4, 3, 1)


def test_a_divergence_that_another_node_saw_first_names_the_epoch_we_stood_in() -> None:
    change = feed(5).take_read(LogRead(head(4, epoch="2"), (), Verdict.DIVERGED, log_id(3)))

    assert (change.epoch, change.new_epoch, change.membership) == ("1", False, True)


def test_a_log_made_anew_is_another_log_altogether() -> None:
    change = feed(5).take_read(LogRead(head(1, epoch="7"), (), Verdict.DIVERGED, LogId("0-0")))

    assert (change.new_epoch, change.diverged) == (True, "0-0")


def test_mentions_of_a_read_are_those_of_its_new_entries() -> None:
    told = feed(5)
    entries = (entry(5, mentions=("old",)), entry(6, mentions=("bob",)), entry(7, mentions=("*",)))

    assert told.take_read(LogRead(head(7), entries)).mentions == {"bob", "*"}


# ---------------------------------------------------------------------------------------------------- members and mode


def test_a_changed_mver_says_membership_and_decides_the_mode_anew() -> None:
    told = feed(5)

    change = told.take_read(LogRead(head(5, mver=2, members=12), ()))

    assert (change.membership, change.settings, told.mode) == (True, False, Mode.NOTIFY)


def test_after_a_removal_a_feed_takes_nothing_until_its_members_are_checked() -> None:
    told = feed(5)
    told.add(Place(Device(SessionId("s"), ALICE, "d", Connection()), ROOM, log_id(5), Mode.PUSH))

    change = told.take_read(LogRead(head(6, mver=2, removals=1), (entry(6),)))

    assert (change.removals, change.news, told.held) == (True, True, True)
    assert told.take_bell(bell(entry(7), prev=log_id(6), mver=2)) == Change(stale=True)
    assert told.tail.head == 6


def test_a_removal_from_a_feed_that_nobody_is_attached_to_is_no_matter() -> None:
    told = feed(5)

    assert not told.take_read(LogRead(head(6, mver=2, removals=1), (entry(6),))).removals
    assert not told.held


def test_changed_settings_are_told_as_such() -> None:
    told = feed(5)

    change = told.take_read(LogRead(head(5, mver=2, settings=ConversationSettings(mode="notify")), ()))

    assert (change.membership, change.settings, told.mode) == (True, True, Mode.NOTIFY)


def test_the_mode_keeps_its_hysteresis_from_change_to_change() -> None:
    told = feed(5)
    modes = []
    for mver, members in enumerate((11, 12, 11, 9, 8), start=2):
        told.take_read(LogRead(head(5, mver=mver, members=members), ()))
        modes.append(told.mode)

    assert modes == [Mode.PUSH, Mode.NOTIFY, Mode.NOTIFY, Mode.NOTIFY, Mode.PUSH]


def test_places_are_kept_by_their_mode_in_the_order_attached() -> None:
    told = feed(5)
    one, two = (Place(Device(SessionId("s"), ALICE, "d", Connection()), ROOM, log_id(5), Mode.PUSH) for _ in range(2))
    assert not told
    told.add(one)
    told.add(two)
    assert told.places == [one, two]

    told.move(one, Way.NOTIFIED)

    assert (list(told.pushed), list(told.noticed), one.mode, bool(told)) == ([two], [one], Mode.NOTIFY, True)
    told.discard(one)
    told.discard(two)
    assert not told


def test_the_floor_only_rises() -> None:
    told = feed(5)
    told.raise_floor(3)
    told.raise_floor(2)

    assert (told.head.floor, told.tail.floor) == (3, 3)


# ---------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("told", [True, False])
def test_who_pulled_while_the_log_was_empty_takes_nothing_from_those_who_pull_later(told: bool) -> None:
    empty = Feed(ROOM, head(0, last_id=LogId("0-0")), Delivery(push_max_members=10))
    before = empty.cut(0, limit=100, told=told)
    empty.take_read(read(1, 2))
    empty.told = 2

    after = empty.cut(0, limit=100, told=told)

    assert before is not None
    assert before[0].upto == 0
    assert after is not None
    assert (after[0].upto, len(after[0].items)) == (2, 2)
