"""What time alone makes a session do. Heartbeat 25 s, silence 62.5 s, hello within 5 s."""

from __future__ import annotations

import pytest

from pushpull.delivery.decisions import Close, Reply
from pushpull.delivery.session import Phase
from tests.delivery.words import open_session, session, text

PING = Reply(b'{"type":"ping"}')


def test_a_hello_must_come_within_five_seconds() -> None:
    new = session(now=100.0)

    assert new.tick(104.9) is None
    assert new.tick(105.0) == Close(4408, "no hello within 5 s")
    assert new.phase is Phase.CLOSED
    assert new.tick(106.0) is None


def test_a_token_that_is_checked_for_too_long_ends_the_session_as_the_services_fault() -> None:
    checking = session(now=100.0)
    checking.receive(text("hello", device="d"), 101.0)

    assert checking.tick(105.0) == Close(1013, "the token could not be checked within 5 s")


def test_a_quiet_session_is_pinged_after_the_heartbeat_and_not_before() -> None:
    opened = open_session(now=100.0)

    assert opened.tick(124.9) is None
    assert opened.tick(125.0) == PING
    assert opened.tick(126.0) is None


def test_a_client_that_talks_and_hears_nothing_is_pinged_so_that_it_knows_we_live() -> None:
    opened = open_session(now=100.0)
    opened.receive(text("pong"), 124.0)

    assert opened.tick(125.0) == PING


def test_a_client_that_hears_much_and_says_nothing_is_pinged_so_that_we_know_it_lives() -> None:
    opened = open_session(now=100.0)
    for second in range(101, 125):
        opened.connection.write(b"{}")
        assert opened.tick(float(second)) is None

    assert opened.tick(125.0) == PING


def test_traffic_both_ways_needs_no_ping() -> None:
    opened = open_session(now=100.0)
    opened.connection.write(b"{}")
    opened.receive(text("pong"), 124.0)
    assert opened.tick(124.0) is None

    assert opened.tick(148.9) is None
    assert opened.tick(149.0) == PING


@pytest.mark.parametrize("pinged", [True, False])
def test_a_client_that_says_nothing_for_long_enough_is_dead(pinged: bool) -> None:
    opened = open_session(now=100.0)
    if pinged:
        assert opened.tick(125.0) == PING

    assert opened.tick(162.4) != Close(4408, "no frame for 62.5 s")
    assert opened.tick(162.5) == Close(4408, "no frame for 62.5 s")


def test_any_frame_is_a_sign_of_life_even_a_bad_one() -> None:
    opened = open_session(now=100.0)
    opened.receive("{", 162.0)

    assert not isinstance(opened.tick(163.0), Close)


def test_a_token_ends_the_session_when_it_expires() -> None:
    opened = open_session(now=100.0, expires_at=110.0)

    assert opened.tick(109.9) is None
    assert opened.tick(110.0) == Close(4401, "token_expired")


def test_a_token_without_an_end_never_expires() -> None:
    opened = open_session(now=100.0, expires_at=None)
    opened.receive(text("pong"), 1e9)

    assert opened.tick(1e9) == PING
