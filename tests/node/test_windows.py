"""Which windows wait, which is due next, which goes when there are too many."""

from __future__ import annotations

from pushpull.delivery.place import Device, Place
from pushpull.delivery.tail import Page
from pushpull.model import Mode, SessionId
from pushpull.node.windows import Windows
from pushpull.settings import Delivery, Settings
from tests.delivery.words import ALICE, ROOM, Connection, log_id

SETTINGS = Delivery(ack_wait_ms=5_000, backoff=2.0, max_deliver=9)


def table(limit: int) -> Windows:
    return Windows(Settings(delivery=Delivery(max_windows=limit)))


def place() -> Place:
    return Place(Device(SessionId("s"), ALICE, "d", Connection()), ROOM, log_id(0), Mode.PUSH)


def armed(windows: Windows, now: float) -> Place:
    """A place that was handed something at `now`."""
    new = place()
    new.window.extend(1, log_id(1), now=now, settings=SETTINGS)
    windows.arm(new)
    return new


def demotions(windows: Windows) -> list[Place]:
    """Whom the windows ask to demote; each is disarmed, as the hub does."""
    demoted: list[Place] = []

    def demote(place: Place) -> None:
        demoted.append(place)
        windows.disarm(place)

    windows.demote = demote
    return demoted


def redelivered(windows: Windows, place: Place, now: float) -> None:
    assert place.window.redeliver(now=now, settings=SETTINGS) is not None
    windows.arm_again(place)


def test_windows_come_due_in_the_order_they_were_armed() -> None:
    windows = table(10)
    one, two, three = (armed(windows, now) for now in (100.0, 101.0, 102.0))

    assert windows.due(104.9) == []
    assert windows.due(105.0) == [one]
    assert windows.due(106.5) == [one, two]
    assert windows.due(107.0) == [one, two, three]


def test_a_window_that_was_acked_and_armed_anew_is_at_the_end() -> None:
    windows = table(10)
    one, two = armed(windows, 100.0), armed(windows, 101.0)
    one.window.extend(3, log_id(3), now=101.0, settings=SETTINGS)
    one.window.ack(1, now=102.0, settings=SETTINGS)
    windows.arm(one)

    assert windows.due(106.0) == [two]
    assert windows.due(107.0) == [two, one]


def test_a_redelivered_window_is_due_at_its_own_later_time() -> None:
    windows = table(10)
    late = armed(windows, 100.0)
    redelivered(windows, late, 105.0)
    fresh = armed(windows, 109.0)

    assert windows.due(113.9) == []
    assert windows.due(114.0) == [fresh]
    assert windows.due(115.0) == [fresh, late]


def test_a_due_row_of_a_window_that_has_moved_on_is_passed_over() -> None:
    windows = table(10)
    moved, gone, later = (armed(windows, 100.0) for _ in range(3))
    for each in (moved, gone, later):
        redelivered(windows, each, 105.0)
    windows.disarm(gone)
    moved.window.await_ack(now=114.0, settings=SETTINGS)
    windows.arm(moved)
    redelivered(windows, later, 115.0)

    assert windows.due(116.0) == []
    assert windows.due(119.0) == [moved]
    assert windows.due(135.0) == [moved, later]


def test_past_the_limit_the_one_awaited_longest_is_demoted() -> None:
    windows = table(2)
    demoted = demotions(windows)
    oldest, _ = armed(windows, 100.0), armed(windows, 101.0)
    assert demoted == []

    armed(windows, 102.0)

    assert demoted == [oldest]
    assert len(windows) == 2
    assert oldest not in list(windows)


def test_places_that_begin_to_wait_together_count_one_by_one() -> None:
    windows = table(3)
    demoted = demotions(windows)
    oldest, older = armed(windows, 100.0), armed(windows, 101.0)
    new = [place() for _ in range(3)]
    for each in new:
        each.window.push(1, log_id(1), 102.0, 107.0)

    windows.arm_new(new)

    assert demoted == [oldest, older]
    assert list(windows) == new
    assert windows.due(107.0) == new


def test_a_page_that_is_handed_makes_a_place_wait_once() -> None:
    windows = table(10)
    one = place()
    windows.hand(one, Page(0, 1, log_id(1), ()), 100.0)
    windows.hand(one, Page(1, 3, log_id(3), ()), 104.0)

    assert (one.window.sent, len(windows)) == (3, 1)
    assert windows.due(105.0) == [one]


def test_to_arm_what_waits_already_is_not_one_more() -> None:
    windows = table(1)
    demoted = demotions(windows)
    only = armed(windows, 100.0)

    windows.arm(only)
    redelivered(windows, only, 105.0)
    windows.arm(only)

    assert (demoted, list(windows)) == ([], [only])


def test_what_was_redelivered_counts_toward_the_limit() -> None:
    windows = table(1)
    demoted = demotions(windows)
    redelivered(windows, armed(windows, 100.0), 105.0)

    new = armed(windows, 106.0)

    assert demoted == [new]


def test_to_disarm_what_does_not_wait_is_no_error() -> None:
    windows = table(1)
    windows.disarm(place())

    assert len(windows) == 0
