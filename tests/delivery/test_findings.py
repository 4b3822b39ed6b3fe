"""From the facts about a message and a user to the verdict: what is said, and in which order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pushpull.delivery.findings import TODO, findings
from pushpull.delivery.trace import (
    CloseFacts,
    ConnectFacts,
    ConversationFacts,
    DeviceFacts,
    Facts,
    LetterFacts,
    MessageFacts,
    OfflineFacts,
    PendingFacts,
    PlaceFacts,
    Searched,
    SessionFacts,
    UserFacts,
    WindowFacts,
)

MINUTE = 60_000
STORED = 1_772_368_200_000  # 2026-03-01 12:30:00 UTC
NOW = STORED + 10 * MINUTE

MESSAGE = MessageFacts(state="stored", seq=57, id="57-1", ts=STORED, sender="alice", cmid="c1", kind="message")
ROOM = ConversationFacts(
    cid="room", head=60, floor=10, epoch="1", members=2, mode="push", why="2 members", history="all", notifies="all"
)
BOB = UserFacts(user="bob", member=True, role="member", joined=3, delivered=50, read=40, notify="all", mute_until=None)
OFFLINE = OfflineFacts(
    enabled=True,
    withdrawn=False,
    due_at=None,
    job=False,
    failed_tries=0,
    event=None,
    told=None,
    outstanding=False,
    letters=[],
)
PLACE = PlaceFacts(
    way="pushed",
    mode="push",
    why="2 members",
    demoted=False,
    screen="unsaid",
    sent=50,
    acked=50,
    noticed=0,
    catching_up=False,
    window=None,
)
WINDOW = WindowFacts(first=51, last=60, delivery_count=1, first_sent=STORED, deadline_ms=900)
FACTS = Facts(
    at=NOW,
    message=MESSAGE,
    conversation=ROOM,
    user=BOB,
    sessions=[],
    silent_nodes=[],
    pending=[],
    offline=OFFLINE,
    devices=[],
)


def session(place: PlaceFacts | None = PLACE, **changes: Any) -> SessionFacts:
    fields: dict[str, Any] = {
        "session": "s1",
        "device": "phone",
        "node": "n1",
        "client": "",
        "connected_at": STORED - MINUTE,
        "known": "answered",
        "buffered": 0,
        "place": place,
    }
    return SessionFacts(**fields | changes)


def device(state: Any = "closed", *, opened: int = STORED - 9 * MINUTE, closed: int | None = None) -> DeviceFacts:
    close = CloseFacts(at=closed or 0, code=1006, reason="the connection was lost", by="line", node="n1", session="s0")
    return DeviceFacts(
        device="phone",
        state=state,
        connected=ConnectFacts(at=opened, node="n1", client="", session="s0"),
        closed=None if closed is None else close,
    )


def verdict(**changes: Any) -> list[tuple[str, str]]:
    return [(each.code, each.says) for each in findings(replace(FACTS, **changes))]


def codes(**changes: Any) -> list[str]:
    return [code for code, _ in verdict(**changes)]


def message(**changes: Any) -> MessageFacts:
    return replace(MESSAGE, **changes)


def user(**changes: Any) -> UserFacts:
    return replace(BOB, **changes)


def offline(**changes: Any) -> OfflineFacts:
    return replace(OFFLINE, **changes)


def place(**changes: Any) -> PlaceFacts:
    return replace(PLACE, **changes)


# ------------------------------------------------------------------------------------------------ the message


SEARCHED = Searched(cmids_since=STORED, from_seq=12, whole=False, senders=3)
NOT_STORED = [
    (
        {"state": "never_sent", "searched": replace(SEARCHED, whole=True)},
        "nothing was ever stored under the cmid c1",
    ),
    (
        {"state": "not_found", "searched": SEARCHED},
        "nothing is known under the cmid c1: not of what was stored after 2026-03-01 12:30:00 UTC, nor among the "
        "messages from 12 on",
    ),
    ({"state": "not_yet", "seq": 61}, "no message has seq 61 yet: the head is 60"),
    (
        {"state": "lost"},
        "message 57-1 was stored 2026-03-01 12:30:00 UTC, and the log does not hold it any more",
    ),
    ({"state": "missing"}, "the log has nothing at 57, though it reaches from 10 to 60"),
]


@pytest.mark.parametrize(("changes", "says"), NOT_STORED, ids=[row[0]["state"] for row in NOT_STORED])
def test_what_is_not_in_the_log_is_all_that_is_said(changes: dict[str, Any], says: str) -> None:
    found = verdict(message=message(**changes), sessions=[session()])
    assert found == [(changes["state"], says)]


def test_a_redacted_message_may_have_been_delivered_before() -> None:
    assert verdict(message=message(state="redacted"), user=user(has_delivered=True, delivered=58)) == [
        ("redacted", "message 57 was stored 2026-03-01 12:30:00 UTC and redacted since"),
        ("delivered", "a device of bob's has acknowledged up to 58"),
    ]


def test_of_a_trimmed_message_no_session_is_asked() -> None:
    gone = message(state="trimmed", seq=8, id=None, ts=None)
    assert verdict(message=gone, sessions=[session()]) == [
        ("trimmed", "message 8 is not kept any more: the oldest that is kept is 10")
    ]


# ------------------------------------------------------------------------------------------------ the user


def test_who_is_no_member_gets_nothing_whatever_else_there_is() -> None:
    found = verdict(user=UserFacts(user="bob", member=False), sessions=[session()], devices=[device()])
    assert found == [("not_a_member", "bob is no member now: only members are served")]


def test_who_has_left_is_told_of_by_the_head_at_which_it_did() -> None:
    assert verdict(user=UserFacts(user="bob", member=False, past=58))[0][1] == (
        "bob is no member now: only members are served; it left when the head was 58, or was named up to there"
    )


def test_a_message_that_was_never_sent_says_so_before_the_user_is_looked_at() -> None:
    assert codes(message=message(state="never_sent"), user=UserFacts(user="bob", member=False)) == [
        "never_sent",
        "not_a_member",
    ]


@pytest.mark.parametrize(("hidden", "code"), [(True, "joined_later"), (False, "in_history")])
def test_what_is_older_than_joining_is_not_sent(hidden: bool, code: str) -> None:
    # The cursors start where the user joined: that they cover the message says nothing.
    late = user(joined=57, hidden=hidden, has_delivered=True, has_read=True, delivered=57, read=57)
    assert codes(user=late, sessions=[session()]) == [code]


def test_the_first_message_after_joining_is_the_users() -> None:
    assert "joined_later" not in codes(user=user(joined=56, hidden=True))


def test_read_says_it_all_and_delivered_does_not_repeat_it() -> None:
    done = user(has_delivered=True, has_read=True, read=60, delivered=60)
    assert verdict(user=done, sessions=[session(place(acked=60, sent=60))], offline=offline(withdrawn=True)) == [
        ("read", "bob has read up to 60, as its app said, or sent something later")
    ]


def test_delivered_to_one_device_and_not_to_another() -> None:
    found = codes(user=user(has_delivered=True, delivered=60), sessions=[session(place(sent=60, window=WINDOW))])
    assert found == ["delivered", "sent_unacked"]


def test_what_the_user_sent_itself_rings_nobody() -> None:
    found = codes(message=message(sender="bob"), user=user(has_delivered=True, has_read=True), offline=offline(told=60))
    assert found == ["own_message", "read", "no_session", "never_connected"]


# ------------------------------------------------------------------------------------------------ sessions

HERE = "device phone, connected since 2026-03-01 12:29:00 UTC,"
SESSIONS: list[tuple[str, SessionFacts, str]] = [
    ("not_listed", session(None), f"{HERE} has not been listed this conversation"),
    ("past_it", session(place(sent=60, acked=57)), f"{HERE} stands at 57, past the message"),
    (
        "sent_unacked",
        session(place(sent=60, window=WINDOW)),
        f"{HERE} was sent 51 to 60 once and has acknowledged up to 50",
    ),
    (
        "sent_unacked",
        session(place(sent=60, window=replace(WINDOW, delivery_count=3)), buffered=700),
        f"{HERE} was sent 51 to 60 3 times and has acknowledged up to 50; 700 bytes for it wait here",
    ),
    (
        "sent_unacked",
        session(place(mode="notify", way="notified", sent=60)),
        f"{HERE} has fetched up to 60 and acknowledged up to 50",
    ),
    (
        "demoted",
        session(place(mode="notify", way="notified", demoted=True, noticed=60), buffered=2_000_000),
        f"{HERE} does not keep up (2000000 bytes wait) and is told by notices until it does",
    ),
    (
        "noticed",
        session(place(mode="notify", way="notified", noticed=57)),
        f"{HERE} was told by a notice that the head is 57, and has not fetched it",
    ),
    (
        "notice_due",
        session(place(mode="notify", way="told", noticed=56, why="not on the screen")),
        f"{HERE} is to be told by a notice (not on the screen)",
    ),
    (
        "behind",
        session(place(sent=56, catching_up=True, window=replace(WINDOW, last=56))),
        f"{HERE} has acknowledged 50 of the 56 it was sent, what follows waits",
    ),
    ("on_its_way", session(), f"{HERE} stands at 50 and is about to be sent what follows"),
]


@pytest.mark.parametrize(("code", "at", "says"), SESSIONS, ids=[f"{n} {row[0]}" for n, row in enumerate(SESSIONS)])
def test_how_a_session_stands(code: str, at: SessionFacts, says: str) -> None:
    assert verdict(sessions=[at]) == [(code, says)]


def test_a_node_that_is_silent_is_named_and_its_sessions_are_not_guessed_at() -> None:
    silent = session(None, known="silent", node="n2", buffered=None)
    assert verdict(sessions=[silent], silent_nodes=["n2"]) == [
        ("node_silent", "node n2 did not answer: how its sessions stand is not known")
    ]


def test_a_session_that_has_just_gone_says_nothing_and_that_is_said() -> None:
    gone = session(None, known="gone", buffered=None)
    assert verdict(sessions=[gone], offline=offline(told=56)) == [("unclear", "nothing of what is known tells why")]


# ------------------------------------------------------------------------------------------------ devices


def test_who_was_never_connected() -> None:
    assert verdict(sessions=[], devices=[]) == [
        ("no_session", "bob is not connected"),
        ("never_connected", "no device of bob's is known to have connected in the last month"),
    ]


def test_a_device_that_went_before_the_message_came_and_did_not_come_back() -> None:
    assert verdict(devices=[device(closed=STORED - MINUTE)])[1:] == [
        (
            "device_never_came_back",
            "device phone was closed 2026-03-01 12:29:00 UTC by the line with 1006: the connection was lost, and has "
            "not come back since",
        )
    ]


def test_a_device_that_was_there_and_acked_nothing() -> None:
    there = device(opened=STORED - MINUTE, closed=STORED + MINUTE)
    assert verdict(devices=[there])[1:] == [
        (
            "device_was_there",
            "device phone connected 2026-03-01 12:29:00 UTC, was closed 2026-03-01 12:31:00 UTC by the line with 1006: "
            "the connection was lost, and acked less",
        )
    ]


def test_a_device_whose_end_was_not_seen() -> None:
    assert verdict(devices=[device("vanished")])[1:] == [
        ("device_vanished", "device phone connected 2026-03-01 12:21:00 UTC; how that ended was not seen")
    ]


def test_a_connected_device_is_told_of_by_its_session() -> None:
    assert codes(sessions=[session()], devices=[device("connected", closed=STORED - MINUTE)]) == ["on_its_way"]


def test_what_was_sent_again_to_a_device_that_is_gone() -> None:
    row = PendingFacts(
        device="phone", session="s0", first=55, last=58, delivery_count=4, first_sent=STORED, last_sent=STORED + MINUTE
    )
    others = [replace(row, first=58), replace(row, last=56), replace(row, session="s1")]
    found = verdict(sessions=[session()], pending=[row, *others])
    assert found[1:] == [
        (
            "redelivered",
            "55 to 58 were sent to device phone 4 times, last 2026-03-01 12:31:00 UTC, without an ack",
        )
    ]


# ------------------------------------------------------------------------------------------------ while away

LETTER = LetterFacts(id="0.1-0", why="http status 500", tries=10, at=STORED + MINUTE)
AWAY: list[tuple[list[str], dict[str, Any]]] = [
    (["quiet"], {"message": message(quiet=True)}),
    (["offline_off"], {"offline": offline(enabled=False, told=60)}),
    (["not_notified"], {"conversation": replace(ROOM, notifies="none")}),
    (["not_notified"], {"conversation": replace(ROOM, notifies="mentions")}),
    (["notified"], {"conversation": replace(ROOM, notifies="mentions"), "message": message(mentioned=True)}),
    (["muted"], {"user": user(mute_until=NOW + 1)}),
    (["notified"], {"user": user(mute_until=NOW)}),
    (["muted"], {"user": user(notify="none"), "message": message(mentioned=True)}),
    (["muted"], {"user": user(notify="mentions")}),
    (["notified"], {"user": user(notify="mentions"), "message": message(mentioned=True)}),
    (["notified"], {}),
    (["notification_under_way"], {"offline": offline(event="offline-1", told=60)}),
    (["notified_before"], {"offline": offline(told=56, outstanding=True)}),
    ([], {"offline": offline(told=45)}),
    (["notification_waiting"], {"offline": offline(told=45, due_at=NOW + 1)}),
    (["notification_waiting", "notification_failed"], {"offline": offline(job=True, letters=[LETTER, LETTER])}),
    ([], {"offline": offline(letters=[replace(LETTER, at=STORED - 1)])}),
    ([], {"offline": offline(told=60, withdrawn=True)}),
]


@pytest.mark.parametrize(("expected", "changes"), AWAY, ids=[f"{n} {row[0]}" for n, row in enumerate(AWAY)])
def test_whether_who_was_away_was_notified(expected: list[str], changes: dict[str, Any]) -> None:
    found = codes(**{"offline": offline(told=57), "sessions": [session()]} | changes)
    assert found == ["on_its_way", *expected]


# ------------------------------------------------------------------------------------------------ the codes


def test_each_code_is_explained_to_support_and_none_is_made_up() -> None:
    page = (Path(__file__).parents[2] / "docs" / "support.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == set(TODO)
