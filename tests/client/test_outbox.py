"""The ordered outbox: order, retries, windows, and what a failover takes away."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushpull.client.outbox import Outbox, Outgoing
from pushpull.errors import Invalid, PushpullError, StoreUnavailable
from pushpull.model import Sent

AWAY = StoreUnavailable("redis is away")
WRONG = Invalid("kind 'redact' is the service's own")


def outgoing(cmid: str, cid: str = "c") -> Outgoing:
    return Outgoing(cid, cmid, msgspec.Raw(b"1"))


def outbox_with(*cmids: str, window: int = 16) -> Outbox:
    outbox = Outbox(window=window)
    for cmid in cmids:
        outbox.add(outgoing(cmid))
    return outbox


def taken(outbox: Outbox, now: float = 0.0) -> list[str]:
    return [message.cmid for message in outbox.take(now=now, now_ms=int(now * 1000))]


def refuse(outbox: Outbox, cmid: str, error: PushpullError, now: float = 0.0) -> bool:
    return outbox.on_refused("c", cmid, error, temporary=error.temporary, now=now, chance=1.0)


def test_on_an_open_connection_no_wait_is_longer_than_two_seconds():
    outbox, now = outbox_with("a"), 0.0
    for _ in range(10):
        assert taken(outbox, now) == ["a"]
        refuse(outbox, "a", AWAY, now)
        now += 2.0


def test_messages_go_out_in_the_order_they_came():
    assert taken(outbox_with("a", "b", "c")) == ["a", "b", "c"]


def test_no_more_than_the_window_is_in_flight():
    outbox = outbox_with("a", "b", "c", window=2)
    assert taken(outbox) == ["a", "b"]
    assert taken(outbox) == []
    outbox.on_sent("c", "a", "1-1", dup=False)
    assert taken(outbox) == ["c"]


def test_a_stored_message_is_done_with_its_log_id():
    outbox = Outbox()
    message = outgoing("a")
    done: list[Outgoing] = []
    message.on_done = done.append
    outbox.add(message)
    taken(outbox)
    outbox.on_sent("c", "a", "7-1", dup=True)
    assert done == [message]
    assert message.result == Sent("c", "a", "7-1", True)
    assert len(outbox) == 0


def test_a_temporary_error_is_retried_after_a_while_under_the_same_cmid():
    outbox = outbox_with("a")
    taken(outbox)
    refuse(outbox, "a", AWAY, now=10.0)
    assert taken(outbox, 10.0) == []
    assert outbox.due_at(now=10.0) == 10.5
    assert taken(outbox, 10.5) == ["a"]


def test_the_service_s_own_waiting_time_is_kept():
    outbox = outbox_with("a")
    taken(outbox)
    refuse(outbox, "a", StoreUnavailable("away", retry_after_ms=4000), now=10.0)
    assert outbox.due_at(now=10.0) == 14.0


def test_after_an_error_nothing_new_goes_out_before_those_in_flight_were_answered():
    outbox = outbox_with("a", "b")
    taken(outbox)
    outbox.add(outgoing("new"))
    refuse(outbox, "a", AWAY, now=0.0)
    assert taken(outbox, 60.0) == []
    refuse(outbox, "b", AWAY, now=0.0)
    assert taken(outbox, 60.0) == ["a", "b", "new"]


def test_a_permanent_error_fails_that_message_and_keeps_the_order_of_the_others():
    outbox = Outbox()
    first, second, third = outgoing("a"), outgoing("b"), outgoing("c")
    for message in (first, second):
        outbox.add(message)
    taken(outbox)
    outbox.add(third)
    refuse(outbox, "a", WRONG)
    assert first.error is WRONG
    assert taken(outbox) == []
    refuse(outbox, "b", AWAY)
    assert taken(outbox) == ["b", "c"]


def test_a_cut_connection_sends_all_that_was_in_flight_again_in_order():
    outbox = outbox_with("a", "b", "c")
    taken(outbox)
    outbox.on_sent("c", "b", "1-1", dup=False)
    outbox.disconnected(now=5.0)
    assert taken(outbox, 5.0) == ["a", "c"]


def test_conversations_do_not_wait_for_each_other():
    outbox = outbox_with("a")
    outbox.add(outgoing("x", "d"))
    taken(outbox)
    refuse(outbox, "a", AWAY)
    outbox.add(outgoing("y", "d"))
    assert taken(outbox) == ["y"]


def test_first_at_stays_that_of_the_first_attempt():
    outbox = outbox_with("a")
    (message,) = outbox.take(now=0.0, now_ms=1_000)
    outbox.disconnected(now=1.0)
    (again,) = outbox.take(now=1.0, now_ms=2_000)
    assert again is message
    assert again.frame()["first_at"] == 1_000


def test_a_first_try_cannot_come_too_late_by_any_clock():
    outbox = outbox_with("a")
    (message,) = outbox.take(now=0.0, now_ms=1_000)
    assert "first_at" not in message.frame()


def test_an_expired_send_holds_its_lane_until_its_fate_is_known():
    outbox = outbox_with("a", "b")
    taken(outbox)
    held = outbox.expire("c", "a")
    assert held is not None
    refuse(outbox, "b", AWAY)
    assert taken(outbox, 99.0) == []
    outbox.rename(held, "a2")
    assert taken(outbox, 99.0) == ["a2", "b"]
    assert (held.first_at, held.again) == (99_000, False)


def test_an_expired_send_that_was_stored_after_all_is_settled():
    outbox = outbox_with("a")
    taken(outbox)
    held = outbox.expire("c", "a")
    assert held is not None
    outbox.settle(held, result=Sent("c", "a", "3-1", True))
    assert held.result is not None
    assert len(outbox) == 0


def test_settling_after_the_chat_has_ended_is_harmless():
    outbox = outbox_with("a")
    taken(outbox)
    held = outbox.expire("c", "a")
    assert held is not None
    outbox.abandon(AWAY)
    outbox.settle(held, error=WRONG)
    outbox.rename(held, "b")
    assert held.error is AWAY


def test_messages_a_failover_lost_go_out_again_first_and_in_order():
    outbox = outbox_with("a", "b", "c")
    taken(outbox)
    for seq, cmid in enumerate(("a", "b", "c"), start=1):
        outbox.on_sent("c", cmid, f"{seq}-1", dup=False)
    outbox.add(outgoing("new"))
    assert outbox.return_above("c", 1) == 2
    assert taken(outbox) == ["b", "c", "new"]


def test_only_a_message_that_was_never_tried_can_be_taken_back():
    outbox = outbox_with("a", "b", window=1)
    first, second = outbox.take(now=0.0, now_ms=0)[0], next(m for m in outbox._lanes["c"].queue if m.cmid == "b")
    assert not outbox.cancel(first)
    assert outbox.cancel(second)
    assert len(outbox) == 1


def test_it_says_when_it_is_full():
    outbox = Outbox(max_pending=2)
    outbox.add(outgoing("a"))
    assert not outbox.full
    outbox.add(outgoing("b"))
    assert outbox.full


@pytest.mark.parametrize("cid", ["c", "d"])
def test_an_answer_to_nothing_in_flight_is_ignored(cid: str):
    outbox = outbox_with("a")
    outbox.on_sent(cid, "a", "1-1", dup=False)
    assert not outbox.on_refused(cid, "a", AWAY, temporary=True, now=0.0, chance=1.0)
    assert len(outbox) == 1


@given(
    st.lists(st.sampled_from(["add", "deliver", "fail", "refuse", "lose", "cut", "wait"]), max_size=80),
    st.integers(1, 5),
)
def test_the_service_stores_each_message_once_and_in_order_whatever_fails(steps: list[str], window: int):
    """A service that dedups by cmid, and fails what stands behind a failed send until that is retried."""
    outbox, stored, refused = Outbox(window=window), [], set()
    wire: list[str] = []
    failing = False
    now, count = 0.0, 0

    def serve(action: str) -> None:
        nonlocal failing
        cmid = wire.pop(0)
        if failing or action == "fail":
            failing = bool(wire)
            refuse(outbox, cmid, AWAY, now)
        elif action == "refuse" and cmid not in stored:
            refused.add(cmid)
            failing = bool(wire)
            refuse(outbox, cmid, WRONG, now)
        else:
            if cmid not in stored:
                stored.append(cmid)
            if action != "lose":
                outbox.on_sent("c", cmid, f"{stored.index(cmid) + 1}-1", dup=False)
            else:
                wire.clear()
                outbox.disconnected(now=now)

    for step in [*steps, *["wait", "deliver"] * (len(steps) * 6 + 6)]:
        now += 60.0 if step == "wait" else 0.0
        if step == "add":
            outbox.add(outgoing(f"{count:04}"))
            count += 1
        elif step == "cut":
            wire.clear()
            failing = False
            outbox.disconnected(now=now)
        elif wire and step != "wait":
            serve(step)
        wire += taken(outbox, now)
    assert len(outbox) == 0
    assert stored == sorted(stored)
    assert set(stored) | refused == {f"{n:04}" for n in range(count)}
