"""The order of a connection's sends when one of them fails for the moment."""

from __future__ import annotations

import pytest

from pushpull.delivery import send_order as order_module
from pushpull.delivery.send_order import SendOrder
from pushpull.errors import CmidExpired, Invalid, RateLimited, StoreUnavailable
from pushpull.model import Cid
from tests.delivery.words import ROOM

SOON = RateLimited("too fast", retry_after_ms=400)


def stopped(order: SendOrder, cmid: str, now: float, cid: Cid = ROOM) -> int | None:
    """For how long (ms) `cmid` has to wait; None: it may go on."""
    try:
        order.check(cid, cmid, now)
    except StoreUnavailable as refusal:
        return refusal.retry_after_ms
    return None


def test_what_was_on_the_wire_behind_a_failed_send_fails_until_that_one_comes_again() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", SOON, 1.0)

    assert [stopped(order, cmid, 1.1) for cmid in ("b", "c")] == [300, 300]
    assert [stopped(order, cmid, 1.4) for cmid in ("a", "b", "c")] == [None, None, None]


def test_the_first_that_failed_is_the_one_that_is_waited_for() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", SOON, 1.0)
    order.failed(ROOM, "b", StoreUnavailable("a send before it failed", retry_after_ms=400), 1.0)

    assert stopped(order, "b", 1.4) is not None
    assert stopped(order, "a", 1.4) is None


def test_the_first_is_the_one_sent_first_though_another_failed_before_it() -> None:
    """One that was refused as it came, while those before it waited for the log, which then refused them."""
    order = SendOrder()
    numbers = [order.check(ROOM, cmid, 1.0) for cmid in ("a", "b")]
    order.failed(ROOM, "c", SOON, 1.0)
    for cmid, number in zip(("a", "b"), numbers, strict=True):
        order.failed(ROOM, cmid, StoreUnavailable("redis cannot be reached"), 1.2, number)

    assert [stopped(order, cmid, 1.4) is None for cmid in ("c", "b")] == [False, False]
    assert [stopped(order, cmid, 1.4) for cmid in ("a", "b", "c")] == [None, None, None]


def test_a_conversation_goes_on_by_itself_where_the_client_gave_its_send_up() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", SOON, 1.0)

    assert stopped(order, "b", 3.3) == 1
    assert stopped(order, "b", 3.4) is None


def test_another_conversation_goes_on() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", SOON, 1.0)

    assert stopped(order, "b", 1.0, Cid("other")) is None


def test_a_refusal_for_good_stops_nothing() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", Invalid("no"), 1.0)

    assert stopped(order, "b", 1.0) is None


def test_after_an_expired_cmid_only_time_helps_as_it_comes_again_under_another() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", CmidExpired("old"), 1.0)
    order.failed(ROOM, "b", StoreUnavailable("a send before it failed"), 1.0)

    assert [stopped(order, cmid, 1.5) for cmid in ("a", "b", "new")] == [500, 500, 500]
    assert [stopped(order, cmid, 2.0) for cmid in ("new", "b")] == [None, None]


def test_an_expired_cmid_with_nothing_behind_it_stops_nothing() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", CmidExpired("old"), 1.0)

    assert stopped(order, "b", 1.0) is None


def test_a_send_that_fails_again_waits_again() -> None:
    order = SendOrder()
    order.failed(ROOM, "a", SOON, 1.0)
    order.check(ROOM, "a", 1.4)
    order.failed(ROOM, "a", SOON, 1.4)

    assert stopped(order, "b", 1.5) == 300


def test_past_the_bound_the_one_stopped_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_module, "STOPS_MAX", 2)
    order = SendOrder()
    for cid in ("one", "two", "three"):
        order.failed(Cid(cid), "a", SOON, 1.0)

    assert [stopped(order, "b", 1.0, Cid(cid)) for cid in ("one", "two", "three")] == [None, 400, 400]


def test_names_too_long_to_be_stored_are_not_kept() -> None:
    order = SendOrder()
    order.failed(Cid("c" * 129), "a", SOON, 1.0)
    order.failed(ROOM, "m" * 65, SOON, 1.0)

    assert stopped(order, "b", 1.0, Cid("c" * 129)) is None
    assert stopped(order, "b", 1.0) is None
