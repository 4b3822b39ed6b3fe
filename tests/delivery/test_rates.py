"""Rates of a user: what is refused, what is always taken, and when it is too much."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushpull.delivery.allowance import Allowance
from pushpull.delivery.decisions import Acked, Close, Decision, Reply, Submit
from pushpull.delivery.session import Session
from pushpull.errors import RateLimited, StoreUnavailable
from pushpull.model import Cid
from pushpull.settings import Limits
from tests.delivery.words import ALICE, ROOM, attached, open_session, session, text


def send(session: Session, cmid: str, now: float, cid: str = ROOM) -> Decision:
    (decision,) = session.receive(text("send", cid=cid, cmid=cmid, body="hi"), now)
    return decision


def refusal(decision: Decision) -> dict[str, Any]:
    assert isinstance(decision, Reply)
    frame: dict[str, Any] = json.loads(decision.data)
    return frame


def test_a_frame_over_the_rate_is_refused_with_its_rid_and_when_to_come_again() -> None:
    opened = open_session(now=1.0, frames_per_s=2)
    for _ in range(10):
        opened.receive(text("ping"), 1.0)

    (decision,) = opened.receive(text("sync", rid=7), 1.0)

    frame = refusal(decision)
    assert (frame["code"], frame["rid"], frame["retry_after_ms"]) == ("rate_limited", 7, 500)
    assert opened.receive(text("sync", rid=7), 1.5) != []


def test_an_ack_over_the_rate_is_taken_and_counts() -> None:
    opened = open_session(now=1.0, frames_per_s=1)
    place = attached(opened, sent=20)
    decisions = [opened.receive(text("ack", acks={ROOM: seq}), 1.0) for seq in range(1, 15)]

    assert all(isinstance(one, Acked) for (one,) in decisions)
    assert place.window.acked == 14
    (pinged,) = opened.receive(text("ping"), 1.0)
    assert refusal(pinged)["code"] == "rate_limited"


def test_whoever_goes_on_far_over_the_rate_is_closed() -> None:
    opened = open_session(now=1.0, frames_per_s=1)
    decisions = [opened.receive(text("ping"), 1.0)[0] for _ in range(16)]

    kinds = [type(one).__name__ for one in decisions]
    assert kinds == ["Reply"] * 15 + ["Close"]
    last = decisions[-1]
    assert isinstance(last, Close)
    assert last.code == 4429


def test_nonsense_counts_as_frames_do() -> None:
    opened = open_session(now=1.0, frames_per_s=1)
    decisions = [opened.receive("nonsense" if n % 2 else text("no such type"), 1.0)[0] for n in range(16)]

    assert [type(one).__name__ for one in decisions] == ["Reply"] * 15 + ["Close"]
    assert isinstance(decisions[-1], Close)
    assert decisions[-1].code == 4429


def test_refusals_are_forgiven_at_the_same_rate() -> None:
    opened = open_session(now=1.0, frames_per_s=1)
    for second in range(60):
        for _ in range(2):
            assert not isinstance(opened.receive(text("ping"), 1.0 + second)[0], Close)


def test_a_send_over_the_users_rate_is_refused_and_those_behind_it_wait_for_it() -> None:
    opened = open_session(now=1.0, sends_per_s=1)
    for n in range(5):
        assert isinstance(send(opened, f"m{n}", 1.0), Submit)

    refused, behind = refusal(send(opened, "a", 1.0)), refusal(send(opened, "b", 1.9))

    assert (refused["code"], refused["cid"], refused["cmid"]) == ("rate_limited", ROOM, "a")
    assert refused["retry_after_ms"] == 1000
    assert (behind["code"], behind["retry_after_ms"]) == ("store_unavailable", 100)
    assert refusal(send(opened, "b", 2.0))["code"] == "store_unavailable"
    assert isinstance(send(opened, "a", 2.0), Submit)


def test_a_send_refused_as_a_frame_holds_back_those_behind_it_too() -> None:
    opened = open_session(now=1.0, frames_per_s=1)
    for _ in range(5):
        opened.receive(text("ping"), 1.0)

    assert refusal(send(opened, "a", 1.0))["code"] == "rate_limited"
    assert refusal(send(opened, "b", 3.0))["code"] == "store_unavailable"
    assert isinstance(send(opened, "a", 4.0), Submit)


def test_a_send_that_the_log_refused_for_now_holds_back_those_behind_it() -> None:
    opened = open_session(now=1.0)
    assert isinstance(send(opened, "a", 1.0), Submit)
    opened.send_failed(ROOM, "a", StoreUnavailable("redis cannot be reached"), 1.1)

    assert refusal(send(opened, "b", 1.2))["code"] == "store_unavailable"
    assert isinstance(send(opened, "a", 2.2), Submit)
    assert isinstance(send(opened, "b", 2.2), Submit)


def test_the_users_connections_share_what_the_user_may_do() -> None:
    shared = Allowance(Limits(frames_per_s=1))
    phone, laptop = session(now=1.0), session(now=1.0)
    for device in (phone, laptop):
        device.receive(text("hello", device="d", token="t"), 1.0)
        device.opened(ALICE, expires_at=None, allowance=shared)
    for _ in range(5):
        phone.receive(text("ping"), 1.0)

    (decision,) = laptop.receive(text("ping"), 1.0)

    assert refusal(decision)["code"] == "rate_limited"


def test_signals_have_a_rate_of_their_own_in_each_conversation() -> None:
    allowance = Allowance(Limits())
    for _ in range(4):
        allowance.check_signal(ROOM, 1.0)

    with pytest.raises(RateLimited, match="over 4 signals a second of this user in room") as refused:
        allowance.check_signal(ROOM, 1.0)
    assert refused.value.retry_after_ms == 250
    allowance.check_signal(Cid("other"), 1.0)
    allowance.check_signal(ROOM, 1.25)


def test_only_the_conversations_signalled_in_last_are_counted() -> None:
    allowance = Allowance(Limits())
    for _ in range(4):
        allowance.check_signal(ROOM, 1.0)
    for number in range(31):
        allowance.check_signal(Cid(f"c{number}"), 1.0)
    with pytest.raises(RateLimited):  # the 32nd: still known, and seen just now
        allowance.check_signal(ROOM, 1.0)

    for number in range(32):
        allowance.check_signal(Cid(f"d{number}"), 1.0)

    allowance.check_signal(ROOM, 1.0)  # begins anew
