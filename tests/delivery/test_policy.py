"""Push or notify: from the number of members, what was before, and what the conversation says for itself."""

from __future__ import annotations

import pytest

from pushpull.delivery.policy import decide, interval_s, next_stretch
from pushpull.model import ConversationSettings, Mode
from pushpull.settings import Delivery

PUSH, NOTIFY = Mode.PUSH, Mode.NOTIFY
SETTINGS = Delivery(push_max_members=200, hysteresis=0.1)


def asks(mode: str, push_window_ms: int | None = None) -> ConversationSettings:
    return ConversationSettings(mode=mode, push_window_ms=push_window_ms)


@pytest.mark.parametrize(
    ("members", "before", "mode"),
    [
        (0, None, PUSH),
        (200, None, PUSH),
        (201, None, NOTIFY),
        (201, PUSH, PUSH),
        (220, PUSH, PUSH),
        (221, PUSH, NOTIFY),
        (200, NOTIFY, NOTIFY),
        (180, NOTIFY, NOTIFY),
        (179, NOTIFY, PUSH),
    ],
)
def test_size_decides_with_hysteresis(members: int, before: Mode | None, mode: Mode) -> None:
    assert decide(members=members, own=asks("auto"), before=before, settings=SETTINGS).mode is mode


def test_a_group_that_hovers_around_the_threshold_does_not_flip() -> None:
    modes, before = [], None
    for members in (199, 201, 205, 199, 219, 221, 205, 199, 181, 179, 199, 205):
        before = decide(members=members, own=asks("auto"), before=before, settings=SETTINGS).mode
        modes.append(before)

    assert modes == [PUSH] * 5 + [NOTIFY] * 4 + [PUSH] * 3


def test_without_hysteresis_the_threshold_is_one_line() -> None:
    settings = Delivery(push_max_members=10, hysteresis=0.0)

    assert decide(members=10, own=asks("auto"), before=PUSH, settings=settings).mode is PUSH
    assert decide(members=11, own=asks("auto"), before=PUSH, settings=settings).mode is NOTIFY
    assert decide(members=9, own=asks("auto"), before=NOTIFY, settings=settings).mode is PUSH


@pytest.mark.parametrize("before", [None, PUSH, NOTIFY])
def test_a_conversations_own_setting_wins(before: Mode | None) -> None:
    assert decide(members=9_999, own=asks("push"), before=before, settings=SETTINGS).mode is PUSH
    assert decide(members=1, own=asks("notify"), before=before, settings=SETTINGS).mode is NOTIFY


def test_the_reason_names_the_figures() -> None:
    assert (
        decide(members=5, own=asks("auto"), before=None, settings=SETTINGS).why == "5 members, push_max_members is 200"
    )
    assert decide(members=5, own=asks("auto"), before=PUSH, settings=SETTINGS).why == (
        "5 members, was push, push_max_members is 200 ± 10%"
    )
    assert decide(members=5, own=asks("notify"), before=PUSH, settings=SETTINGS).why == (
        "the conversation's settings say notify"
    )


@pytest.mark.parametrize(
    ("members", "own", "mode", "window_s"),
    [
        (10, asks("auto"), PUSH, 0.0),
        (10, asks("auto", 500), PUSH, 0.5),
        (9_999, asks("push", 500), PUSH, 0.5),
        (9_999, asks("push", 0), PUSH, 0.0),
        (9_999, asks("auto", 500), NOTIFY, 0.0),  # it says how a push goes, not that it is one
        (10, asks("notify", 500), NOTIFY, 0.0),
    ],
)
def test_a_push_is_gathered_where_the_conversation_asks_for_it(
    members: int, own: ConversationSettings, mode: Mode, window_s: float
) -> None:
    decision = decide(members=members, own=own, before=None, settings=SETTINGS)

    assert (decision.mode, decision.window_s) == (mode, window_s)
    assert ("push_window_ms 500" in decision.why) is (window_s == 0.5)


@pytest.mark.parametrize(
    ("stretch", "load", "after"),
    [
        (5.0, 0.5, 5.0),  # as wanted
        (5.0, 0.8, 5.757),  # 1.6 times as much: 15 % up
        (5.0, 0.25, 4.061),  # half as much: 19 % down
        (4.0, 1.0, 8.0),  # full: all of it at once
        (5.0, 0.0, 3.75),  # not down by more than a quarter
        (9.5, 1.0, 10.0),  # notify_interval_max_ms, 2,000, over notify_interval_ms, 200
        (1.05, 0.0, 1.0),
    ],
)
def test_the_rounds_of_large_groups_follow_the_load(stretch: float, load: float, after: float):
    assert next_stretch(stretch, load=load, settings=Delivery()) == pytest.approx(after, abs=0.001)


@pytest.mark.parametrize(
    ("wanted_s", "stretch", "interval"),
    [(0.2, 1.0, 0.2), (0.2, 4.0, 0.8), (0.2, 10.0, 2.0), (0.5, 10.0, 2.0), (3.0, 4.0, 3.0)],
)
def test_an_interval_grows_up_to_the_longest_but_is_never_shorter_than_wanted(
    wanted_s: float, stretch: float, interval: float
):
    assert interval_s(wanted_s, stretch, Delivery()) == pytest.approx(interval)
