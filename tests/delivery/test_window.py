"""What is sent and not acked. Here ack_wait is 5 s, backoff 2, max_deliver 3, max_ack_pending 10."""

from __future__ import annotations

import pytest

from pushpull.delivery.window import EXHAUSTED, MARKS_MAX, NEVER, Redelivery, Window
from pushpull.model import ZERO_ID, LogId
from pushpull.settings import Delivery
from tests.delivery.words import DELIVERY, log_id


def window(sent: int = 0, *, now: float = 100.0) -> Window:
    """A window that stands at 0 and had (0, sent] handed at `now`."""
    made = Window(log_id(0))
    if sent:
        extend(made, sent, now)
    return made


def extend(window: Window, upto: int, now: float, settings: Delivery = DELIVERY) -> None:
    window.extend(upto, log_id(upto), now=now, settings=settings)


def ack(window: Window, seq: int, now: float) -> bool:
    return window.ack(seq, now=now, settings=DELIVERY)


def redeliver(window: Window, now: float) -> object:
    return window.redeliver(now=now, settings=DELIVERY)


def test_a_new_window_waits_for_nothing() -> None:
    new = Window(log_id(7))

    assert (new.acked, new.sent, new.outstanding, new.deadline) == (7, 7, 0, NEVER)
    assert redeliver(new, 1e12) is None


def test_the_first_outstanding_frame_sets_the_deadline_and_later_ones_do_not() -> None:
    waiting = window(3, now=100.0)
    extend(waiting, 5, 104.0)

    assert (waiting.deadline, waiting.first_sent, waiting.outstanding) == (105.0, 100.0, 5)


def test_a_frame_that_was_sent_before_changes_nothing() -> None:
    waiting = window(5)
    extend(waiting, 5, 101.0)
    extend(waiting, 3, 101.0)

    assert (waiting.sent, waiting.sent_id, waiting.marks) == (5, log_id(5), None)


def test_an_ack_of_everything_ends_the_waiting() -> None:
    waiting = window(5)

    assert ack(waiting, 5, 101.0)
    assert (waiting.acked, waiting.acked_id, waiting.deadline, waiting.delivery_count) == (5, log_id(5), NEVER, 0)


def test_an_ack_of_a_part_starts_the_deadline_anew() -> None:
    waiting = window(5, now=100.0)

    assert ack(waiting, 2, 104.0)
    assert (waiting.deadline, waiting.delivery_count, waiting.outstanding) == (109.0, 1, 3)


def test_progress_after_a_redelivery_counts_from_one_again() -> None:
    waiting = window(5, now=100.0)
    redeliver(waiting, 105.0)

    ack(waiting, 1, 106.0)

    assert (waiting.delivery_count, waiting.deadline) == (1, 111.0)


@pytest.mark.parametrize("seq", [-1, 0, 2, 6, 2**60])
def test_an_ack_of_old_news_or_of_what_was_never_sent_moves_nothing(seq: int) -> None:
    waiting = window(5, now=100.0)
    ack(waiting, 2, 101.0)

    assert not ack(waiting, seq, 103.0)
    assert (waiting.acked, waiting.deadline) == (2, 106.0)


def test_an_ack_is_written_with_the_id_at_the_end_of_the_last_whole_frame() -> None:
    waiting = window(3)
    extend(waiting, 6, 100.0)

    ack(waiting, 5, 101.0)
    assert (waiting.acked, waiting.acked_id) == (5, log_id(3))
    ack(waiting, 6, 101.0)
    assert (waiting.acked, waiting.acked_id) == (6, log_id(6))


def test_redelivery_waits_for_the_ack_deadline() -> None:
    waiting = window(5, now=100.0)

    assert redeliver(waiting, 104.999) is None
    assert redeliver(waiting, 105.0) == Redelivery(after=0, upto=5, count=1)


def test_each_redelivery_waits_longer_and_after_max_deliver_the_device_is_exhausted() -> None:
    waiting = window(5, now=100.0)

    assert redeliver(waiting, 105.0) == Redelivery(0, 5, 1)
    assert redeliver(waiting, 114.9) is None
    assert redeliver(waiting, 115.0) == Redelivery(0, 5, 2)
    assert redeliver(waiting, 134.9) is None
    assert redeliver(waiting, 135.0) is EXHAUSTED


def test_a_redelivery_is_the_range_that_is_not_acked() -> None:
    waiting = window(5, now=100.0)
    ack(waiting, 2, 100.0)
    extend(waiting, 8, 101.0)

    assert redeliver(waiting, 105.0) == Redelivery(after=2, upto=8, count=1)


def test_a_frame_sent_during_a_redelivery_does_not_put_the_deadline_off() -> None:
    waiting = window(5, now=100.0)
    redeliver(waiting, 105.0)
    extend(waiting, 6, 106.0)

    assert (waiting.deadline, waiting.delivery_count) == (115.0, 2)


def test_what_is_handed_in_notify_mode_has_no_deadline() -> None:
    notified = window()
    notified.hand(5, log_id(5))

    assert (notified.sent, notified.deadline, redeliver(notified, 1e12)) == (5, NEVER, None)
    assert ack(notified, 3, 101.0)
    assert (notified.acked, notified.deadline, notified.delivery_count) == (3, NEVER, 0)


def test_a_device_that_changes_to_push_is_waited_for_from_then_on() -> None:
    changed = window()
    changed.hand(5, log_id(5))

    changed.await_ack(now=200.0, settings=DELIVERY)

    assert redeliver(changed, 204.9) is None
    assert redeliver(changed, 205.0) == Redelivery(0, 5, 1)


def test_to_wait_anew_keeps_the_deliveries_counted_so_far() -> None:
    waiting = window(5, now=100.0)
    redeliver(waiting, 105.0)

    waiting.await_ack(now=115.0, settings=DELIVERY)

    assert (waiting.delivery_count, waiting.first_sent, waiting.deadline) == (2, 100.0, 120.0)


def test_a_rewind_forgets_what_was_sent_above_it() -> None:
    waiting = window(9)
    waiting.rewind(log_id(4, digest=7))

    assert (waiting.acked, waiting.sent, waiting.acked_id) == (4, 4, log_id(4, 7))
    assert (waiting.marks, waiting.sent_id, waiting.deadline) == (None, log_id(4, 7), NEVER)
    assert not ack(waiting, 9, 101.0)


def test_marks_are_bounded_and_an_ack_of_a_lost_one_is_written_a_little_lower() -> None:
    pulls = window()
    for seq in range(1, MARKS_MAX + 3):
        pulls.hand(seq, log_id(seq))

    assert pulls.marks is not None
    assert len(pulls.marks) <= MARKS_MAX
    ack(pulls, 10, 0.0)
    assert (pulls.acked, pulls.acked_id) == (10, log_id(0))
    ack(pulls, MARKS_MAX, 0.0)
    assert pulls.acked_id == log_id(MARKS_MAX)


def test_what_was_trimmed_needs_no_ack_and_what_was_sent_above_it_still_does() -> None:
    window = Window(ZERO_ID)
    window.extend(4, log_id(4), now=0.0, settings=DELIVERY)
    window.extend(9, log_id(9), now=1.0, settings=DELIVERY)

    window.skip(LogId("6-0"))

    assert (window.acked, window.sent, window.deadline) == (6, 9, 5.0)
    assert window.ack(9, now=2.0, settings=DELIVERY)
    assert window.acked_id == log_id(9)


def test_when_all_that_was_sent_is_trimmed_the_window_stands_at_the_floor() -> None:
    window = Window(ZERO_ID)
    window.extend(4, log_id(4), now=0.0, settings=DELIVERY)

    window.skip(LogId("6-0"))

    assert (window.acked, window.sent, window.delivery_count) == (6, 6, 0)
