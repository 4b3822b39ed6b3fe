"""When a device asks whether the other side lives, and when it stops waiting for the answer."""

from __future__ import annotations

from pushpull.client.silence import Due, Silence


def test_an_idle_device_asks_after_ten_seconds_and_once() -> None:
    silence = Silence(100.0)

    assert silence.due(109.9, waiting=False) is Due.NOTHING
    assert silence.due(110.0, waiting=False) is Due.PING
    assert silence.due(111.0, waiting=False) is Due.NOTHING


def test_a_device_that_waits_for_an_answer_asks_after_three() -> None:
    silence = Silence(100.0)

    assert silence.due(102.9, waiting=True) is Due.NOTHING
    assert silence.due(103.0, waiting=True) is Due.PING


def test_five_seconds_without_an_answer_are_the_end() -> None:
    silence = Silence(100.0)
    silence.due(110.0, waiting=False)

    assert silence.due(114.9, waiting=True) is Due.NOTHING
    assert silence.due(115.0, waiting=True) is Due.DEAD


def test_any_frame_is_an_answer() -> None:
    silence = Silence(100.0)
    silence.due(110.0, waiting=False)

    silence.heard(112.0)

    assert silence.due(121.9, waiting=False) is Due.NOTHING
    assert silence.due(122.0, waiting=False) is Due.PING


def test_what_was_heard_before_the_ping_is_no_answer() -> None:
    silence = Silence(100.0)
    silence.heard(101.0)
    silence.due(111.0, waiting=False)

    silence.heard(101.0)

    assert silence.due(116.0, waiting=False) is Due.DEAD
