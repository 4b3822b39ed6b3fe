"""Push or notify: from the number of members, what was before, and what the conversation says for itself."""

from __future__ import annotations

import pytest

from pushpull.delivery.policy import decide, next_interval_s
from pushpull.model import Mode
from pushpull.settings import Delivery

PUSH, NOTIFY = Mode.PUSH, Mode.NOTIFY
SETTINGS = Delivery(push_max_members=200, hysteresis=0.1)


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
    assert decide(members=members, override="auto", before=before, settings=SETTINGS).mode is mode


def test_a_group_that_hovers_around_the_threshold_does_not_flip() -> None:
    modes, before = [], None
    for members in (199, 201, 205, 199, 219, 221, 205, 199, 181, 179, 199, 205):
        before = decide(members=members, override="auto", before=before, settings=SETTINGS).mode
        modes.append(before)

    assert modes == [PUSH] * 5 + [NOTIFY] * 4 + [PUSH] * 3


def test_without_hysteresis_the_threshold_is_one_line() -> None:
    settings = Delivery(push_max_members=10, hysteresis=0.0)

    assert decide(members=10, override="auto", before=PUSH, settings=settings).mode is PUSH
    assert decide(members=11, override="auto", before=PUSH, settings=settings).mode is NOTIFY
    assert decide(members=9, override="auto", before=NOTIFY, settings=settings).mode is PUSH


@pytest.mark.parametrize("before", [None, PUSH, NOTIFY])
def test_a_conversations_own_setting_wins(before: Mode | None) -> None:
    assert decide(members=9_999, override="push", before=before, settings=SETTINGS).mode is PUSH
    assert decide(members=1, override="notify", before=before, settings=SETTINGS).mode is NOTIFY


def test_the_reason_names_the_figures() -> None:
    assert (
        decide(members=5, override="auto", before=None, settings=SETTINGS).why == "5 members, push_max_members is 200"
    )
    assert decide(members=5, override="auto", before=PUSH, settings=SETTINGS).why == (
        "5 members, was push, push_max_members is 200 ± 10%"
    )
    assert decide(members=5, override="notify", before=PUSH, settings=SETTINGS).why == (
        "the conversation's settings say notify"
    )


@pytest.mark.parametrize(
    ("interval_s", "load", "after_s"),
    [
        (1.0, 0.5, 1.0),  # as wanted
        (1.0, 0.55, 1.1),
        (1.0, 0.45, 0.9),
        (1.0, 1.0, 1.25),  # not faster than by a quarter
        (1.0, 0.0, 0.75),
        (1.9, 1.0, 2.0),  # notify_interval_max_ms
        (0.21, 0.0, 0.2),  # notify_interval_ms
    ],
)
def test_the_interval_of_notices_follows_the_load(interval_s: float, load: float, after_s: float):
    assert next_interval_s(interval_s, load=load, settings=Delivery()) == pytest.approx(after_s)
