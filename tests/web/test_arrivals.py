"""Connections that are no WebSocket: how many may be, and when one is late."""

from __future__ import annotations

import pytest

from pushpull.settings import Limits
from pushpull.web import arrivals as arrivals_module
from pushpull.web.arrivals import BODY_S, CALL_S, HEADER_S, Arrivals


class Arrival:
    """Leaves, as a transport does, when it is dropped."""

    def __init__(self, arrivals: Arrivals) -> None:
        self.dropped = False
        self._arrivals = arrivals

    def drop(self) -> None:
        self.dropped = True
        self._arrivals.leave(self)


def entered(arrivals: Arrivals, now: float = 0.0) -> Arrival:
    arrival = Arrival(arrivals)
    assert arrivals.enter(arrival, now)
    return arrival


def answered(arrivals: Arrivals, now: float = 0.0) -> Arrival:
    """One that made a call, and is idle."""
    arrival = entered(arrivals, now)
    arrivals.header_came(arrival, now)
    arrivals.body_came(arrival)
    arrivals.answered(arrival)
    return arrival


def test_whoever_says_nothing_is_closed_when_a_header_is_late() -> None:
    arrivals = Arrivals(Limits())
    late = entered(arrivals, 1.0)
    entered(arrivals, 2.0)

    arrivals.sweep(1.0 + HEADER_S)

    assert (late.dropped, len(arrivals)) == (True, 1)


def test_a_header_that_dribbles_has_no_more_time_than_one_that_does_not_come() -> None:
    arrivals = Arrivals(Limits())
    slow = entered(arrivals, 1.0)
    arrivals.begin(slow, 4.0)

    arrivals.sweep(1.0 + HEADER_S)

    assert slow.dropped


def test_the_next_request_of_a_kept_connection_has_its_own_time() -> None:
    arrivals = Arrivals(Limits())
    kept = answered(arrivals)
    arrivals.begin(kept, 60.0)
    arrivals.sweep(60.0 + HEADER_S - 0.1)
    assert not kept.dropped

    arrivals.sweep(60.0 + HEADER_S)

    assert kept.dropped


def test_a_body_and_an_answer_that_are_late_end_the_connection() -> None:
    arrivals = Arrivals(Limits())
    body, answer = entered(arrivals), entered(arrivals)
    for arrival in (body, answer):
        arrivals.header_came(arrival, 0.0)
    arrivals.body_came(answer)

    arrivals.sweep(BODY_S)
    assert (body.dropped, answer.dropped) == (True, False)
    arrivals.sweep(CALL_S)
    assert answer.dropped


def test_an_idle_connection_owes_nothing() -> None:
    arrivals = Arrivals(Limits())
    idle = answered(arrivals)

    arrivals.sweep(1e6)

    assert not idle.dropped


def test_a_newcomer_takes_the_place_of_the_one_idle_longest() -> None:
    arrivals = Arrivals(Limits(http_connections=2))
    first, second = answered(arrivals), answered(arrivals)

    entered(arrivals)

    assert (first.dropped, second.dropped, len(arrivals)) == (True, False, 2)


def test_a_newcomer_goes_where_all_places_are_taken_and_busy() -> None:
    arrivals = Arrivals(Limits(http_connections=2))
    for _ in range(2):
        arrivals.header_came(entered(arrivals), 0.0)

    assert not arrivals.enter(Arrival(arrivals), 0.0)


def test_past_the_handshakes_the_one_that_has_owed_a_header_longest_goes() -> None:
    arrivals = Arrivals(Limits(handshakes=2))
    prompt, first = entered(arrivals), entered(arrivals, 1.0)
    arrivals.header_came(prompt, 1.0)
    second = entered(arrivals, 2.0)

    entered(arrivals, 3.0)

    assert (prompt.dropped, first.dropped, second.dropped) == (False, True, False)


def test_a_newcomer_takes_the_place_of_one_that_says_nothing_where_none_is_idle() -> None:
    arrivals = Arrivals(Limits(http_connections=2))
    busy, silent = entered(arrivals), entered(arrivals)
    arrivals.header_came(busy, 0.0)

    entered(arrivals)

    assert (busy.dropped, silent.dropped) == (False, True)


def test_files_are_left_for_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals_module, "_files", lambda: 1_000)
    sockets = 1_000 - arrivals_module.FILES_KEPT - 1
    arrivals = Arrivals(Limits(), sockets=lambda: sockets)
    arrivals.header_came(entered(arrivals), 0.0)

    assert not arrivals.enter(Arrival(arrivals), 0.0)


def test_one_that_became_a_websocket_owes_nothing_here() -> None:
    arrivals = Arrivals(Limits())
    upgraded = entered(arrivals)
    arrivals.leave(upgraded)

    arrivals.sweep(1e6)

    assert (upgraded.dropped, len(arrivals)) == (False, 0)


def test_a_long_call_has_its_time_anew_with_each_piece_of_it() -> None:
    arrivals = Arrivals(Limits())
    long, stuck = entered(arrivals), entered(arrivals)
    for each in (long, stuck):
        arrivals.header_came(each, 0.0)
    arrivals.goes_on(long, BODY_S - 1)

    arrivals.sweep(BODY_S)

    assert (long.dropped, stuck.dropped) == (False, True)
    arrivals.body_came(long)
    arrivals.goes_on(long, CALL_S - 1)
    arrivals.sweep(2 * CALL_S - 2)
    assert not long.dropped
    arrivals.sweep(2 * CALL_S - 1)
    assert long.dropped


def test_what_goes_on_after_its_end_owes_nothing() -> None:
    arrivals = Arrivals(Limits())
    done = answered(arrivals)

    arrivals.goes_on(done, 5.0)
    arrivals.sweep(5.0 + CALL_S)

    assert not done.dropped
