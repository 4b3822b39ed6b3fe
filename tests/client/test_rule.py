"""The receiving rule, case by case, and held against random logs and networks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pushpull.client import frames
from pushpull.client.rule import Applied, Duplicate, Gap, Position
from tests.client.words import item, log_id, page, row


def standing_at(seq: int, *, head: int | None = None, mode: str = "push") -> Position:
    return Position(log_id(seq), head=seq if head is None else head, mode=mode)


def pulls_after(position: Position) -> int | None:
    """The `after` of the pull that the device owes now, if any."""
    return position.seq if position.chasing and position.pulling is None and position.behind else None


def test_a_frame_that_follows_is_applied_whole():
    position = standing_at(3)
    verdict = position.on_messages(page(3, 5))
    assert verdict == Applied((item(4), item(5)), "5-1")
    assert position.pos == "5-1"


def test_of_an_overlapping_frame_only_the_new_part_is_applied():
    assert standing_at(3).on_messages(page(1, 5)) == Applied((item(4), item(5)), "5-1")


def test_a_range_of_redacted_messages_moves_the_position_and_shows_nothing():
    position = standing_at(3)
    assert position.on_messages(page(3, 5, without=(4, 5))) == Applied((), "5-1")
    assert position.pos == "5-1"


def test_a_frame_that_ends_where_the_device_stands_is_a_duplicate():
    position = standing_at(5)
    assert position.on_messages(page(2, 5)) == Duplicate(5)
    assert position.pos == "5-1"


def test_a_frame_that_begins_above_is_a_gap_and_is_pulled_from_the_position():
    position = standing_at(3)
    assert position.on_messages(page(5, 6)) == Gap(5)
    assert position.pos == "3-1"
    assert pulls_after(position) == 3


def test_no_second_pull_while_one_is_under_way():
    position = standing_at(3)
    position.on_messages(page(5, 6))
    position.pulling = 3
    position.on_messages(page(7, 8))
    assert pulls_after(position) is None


def test_after_a_pull_the_next_one_follows_until_the_highest_head_seen():
    position = standing_at(3)
    position.on_notice(9)
    position.pulling = pulls_after(position)
    position.on_messages(page(3, 6, head=6))  # an older head does not lower the highest
    assert pulls_after(position) == 6
    position.pulling = 6
    position.on_messages(page(6, 9))
    assert pulls_after(position) is None


def test_a_pushed_conversation_that_is_only_behind_is_not_pulled():
    position = standing_at(3)
    position.on_messages(page(3, 5, head=50))
    assert position.behind
    assert pulls_after(position) is None


def test_a_notified_conversation_is_pulled_after_an_inline_notice_that_is_not_the_newest():
    position = standing_at(3, mode="notify")
    position.on_messages(page(3, 4, head=9))
    assert pulls_after(position) == 4


def test_an_unknown_mode_is_treated_like_notify():
    position = standing_at(3, mode="carrier-pigeon")
    position.on_messages(page(3, 4, head=9))
    assert pulls_after(position) == 4


def test_a_notice_of_what_is_held_asks_for_nothing():
    position = standing_at(3)
    position.on_notice(3)
    assert pulls_after(position) is None


def test_an_answer_without_progress_ends_the_chase():
    position = standing_at(3)
    position.on_notice(9)
    position.pulling = 3
    position.on_messages(page(3, 3, head=3))
    assert pulls_after(position) is None


def test_a_frame_without_room_is_learnt_from_and_pulled_later():
    position = standing_at(3)
    position.put_off(page(3, 5))
    assert position.pos == "3-1"
    assert pulls_after(position) == 3


def test_a_reset_moves_back_and_lowers_the_head():
    position = standing_at(9, head=12)
    position.on_reset(pos="4-1", epoch="2", head=6)
    assert (position.pos, position.epoch, position.head) == ("4-1", "2", 6)


def test_a_row_that_starts_where_the_device_stands_is_no_reset():
    assert standing_at(3).on_row(row("3-1", head=3)) is None


def test_a_row_that_starts_behind_or_with_another_tag_is_a_divergence():
    assert standing_at(3).on_row(row("2-1", head=3)) == "diverged"
    assert standing_at(3).on_row(row("3-2", head=3)) == "diverged"


def test_a_row_that_starts_ahead_is_a_trim():
    assert standing_at(3).on_row(row("7-1", head=9)) == "trimmed"


@given(
    length=st.integers(1, 60),
    redacted=st.sets(st.integers(1, 60)),
    chunks=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=60),
    limit=st.integers(1, 10),
    notified=st.booleans(),
)
def test_whatever_comes_in_whatever_order_the_device_ends_with_the_log_in_order(
    length: int, redacted: set[int], chunks: list[tuple[int, int]], limit: int, notified: bool
):
    """Any chunks (lost, repeated, reordered, overlapping), then pulls: exactly the log, each message once, in order."""
    log = [seq for seq in range(1, length + 1) if seq not in redacted]
    position, shown = Position("0-1", mode="notify" if notified else "push"), []

    def give(after: int, upto: int) -> None:
        verdict = position.on_messages(page(after, upto, head=length, without=tuple(redacted)))
        if isinstance(verdict, Applied):
            shown.extend(item.seq for item in verdict.items)

    for after, size in chunks:
        if after < length:
            give(after, min(length, after + size))
    position.on_notice(length)
    pulls = 0
    while (after_pull := pulls_after(position)) is not None:
        position.pulling = after_pull
        give(after_pull, min(length, after_pull + limit))
        pulls += 1
        assert pulls <= length
    assert shown == log
    assert position.pos == log_id(length)


@given(fork=st.integers(0, 20), old=st.integers(0, 20), new=st.integers(1, 20))
def test_after_a_divergence_the_device_holds_the_new_log_alone(fork: int, old: int, new: int):
    held = dict.fromkeys(range(1, fork + old + 1), 1)
    position = standing_at(fork + old)
    position.on_reset(pos=log_id(fork), epoch="2", head=fork + new)
    held = {seq: tag for seq, tag in held.items() if seq <= fork}
    items = tuple(item(seq, tag=2) for seq in range(fork + 1, fork + new + 1))
    frame = frames.Messages(
        cid="c", after=fork, upto=fork + new, upto_id=log_id(fork + new, 2), items=items, head=fork + new
    )
    verdict = position.on_messages(frame)
    assert isinstance(verdict, Applied)
    held.update({item.seq: 2 for item in verdict.items})
    assert held == {seq: 1 if seq <= fork else 2 for seq in range(1, fork + new + 1)}
