"""A session's frames and what is owed for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushpull.delivery import client_frames
from pushpull.delivery.decisions import (
    Acked,
    Authenticate,
    Close,
    Decision,
    Fetch,
    List,
    ReadTo,
    Renew,
    Reply,
    Submit,
)
from pushpull.delivery.session import HELLO_BYTES, HELLO_BYTES_AUTHENTICATED, Phase, Session
from pushpull.model import Cid, LogId, Mode
from tests.delivery.words import ALICE, ROOM, attached, open_session, session, text


def answers(decisions: list[Decision]) -> list[dict[str, Any]]:
    assert all(isinstance(decision, Reply) for decision in decisions)
    return [json.loads(decision.data) for decision in decisions if isinstance(decision, Reply)]


def error(session: Session, frame: str) -> dict[str, Any]:
    """The one error a frame is answered with; the session lives on."""
    (answer,) = answers(session.receive(frame, 1.0))
    assert answer["type"] == "error"
    assert session.phase is Phase.OPEN
    return answer


# ---------------------------------------------------------------------------------------------------- before open


def test_a_hello_asks_for_its_token_to_be_checked() -> None:
    new = session()

    (decision,) = new.receive(text("hello", device="laptop", token="t", positions={"room": "5-9"}), 1.0)

    hello = client_frames.Hello(device="laptop", token="t", positions={"room": "5-9"})
    assert decision == Authenticate(hello)
    assert (new.phase, new.device) == (Phase.CHECKING, "laptop")


@pytest.mark.parametrize("frame", [text("ping"), text("ack", acks={}), text("nope"), "{", "[]", text("hello")])
def test_anything_but_a_hello_at_first_ends_the_session(frame: str) -> None:
    new = session()

    (decision,) = new.receive(frame, 1.0)

    assert isinstance(decision, Close)
    assert (decision.code, new.phase) == (4400, Phase.CLOSED)


@pytest.mark.parametrize(
    "fields",
    [
        {"device": ""},
        {"device": "two words"},
        {"device": "a\nb"},
        {"device": "d" * 129},
        {"device": "d", "max_backlog": -1},
        {"device": "d", "positions": {"no spaces": "1-1"}},
        {"device": "d", "positions": {"room": "5"}},
        {"device": "d", "positions": {"room": "05-1"}},
        {"device": "d", "positions": {"room": "99999999999999999-1"}},
    ],
)
def test_a_hello_with_a_wrong_value_ends_the_session(fields: dict[str, Any]) -> None:
    (decision,) = session().receive(text("hello", **fields), 1.0)

    assert isinstance(decision, Close)
    assert decision.code == 4400


def test_nothing_is_taken_while_the_token_is_checked() -> None:
    """The owner holds such frames; to take a send now would be to send for nobody."""
    checking = session()
    checking.receive(text("hello", device="d"), 1.0)

    (decision,) = checking.receive(text("send", cid="room", cmid="m", body=1), 1.1)

    assert isinstance(decision, Close)
    assert decision.code == 4400


@pytest.mark.parametrize(("authenticated", "limit"), [(False, HELLO_BYTES), (True, HELLO_BYTES_AUTHENTICATED)])
def test_a_hello_is_as_large_as_the_upgrade_allows(authenticated: bool, limit: int) -> None:
    hello = text("hello", device="d", client="")
    (taken,) = session(authenticated=authenticated).receive(hello[:-2] + "x" * (limit - len(hello)) + '"}', 1.0)
    (refused,) = session(authenticated=authenticated).receive(hello[:-2] + "x" * (limit + 1 - len(hello)) + '"}', 1.0)

    assert isinstance(taken, Authenticate)
    assert refused == Close(4413, f"frame of {limit + 1} bytes is over the limit of {limit}")


# ---------------------------------------------------------------------------------------------------- open


def test_a_send_becomes_a_draft_of_the_sessions_user_in_the_sessions_chain() -> None:
    opened = open_session()

    (decision,) = opened.receive(text("send", cid="room", cmid="m", body={"a": 1}, rid=3), 1.0)

    assert isinstance(decision, Submit)
    draft = decision.draft
    assert (draft.sender, draft.own, draft.chain, draft.body) == (ALICE, True, "s1", b'{"a": 1}')
    assert decision.rid == 3


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"cid": "no spaces"}, "invalid"),
        ({"cmid": ""}, "invalid"),
        ({"kind": "sys.x"}, "invalid"),
        ({"body": "x" * 70_000}, "too_large"),
    ],
)
def test_a_send_that_is_refused_is_answered_with_its_names(fields: dict[str, Any], code: str) -> None:
    answer = error(open_session(), text("send", **{"cid": "room", "cmid": "m", "body": 1, "rid": 9} | fields))

    assert (answer["code"], answer["rid"]) == (code, 9)
    assert answer["cid"] == fields.get("cid", "room")


def test_an_ack_moves_the_window_and_says_so_once() -> None:
    opened = open_session()
    place = attached(opened, sent=5)

    assert opened.receive(text("ack", acks={"room": 3}), 1.0) == [Acked(place)]
    assert opened.receive(text("ack", acks={"room": 3}), 1.0) == []
    assert opened.receive(text("ack", acks={"room": 0}), 1.0) == []
    assert place.window.acked == 3


def test_a_wrong_ack_is_answered_and_the_others_of_its_frame_count() -> None:
    opened = open_session()
    place = attached(opened, sent=5)
    other = attached(opened, sent=5, cid=Cid("other"))

    decisions = opened.receive(text("ack", acks={"away": 1, "room": 6, "other": -1, "__proto__": 1}, rid=2), 1.0)

    assert [answer["code"] for answer in answers(decisions)] == ["not_a_member", "invalid", "invalid", "not_a_member"]
    assert [answer["cid"] for answer in answers(decisions)] == ["away", "room", "other", "__proto__"]
    assert (place.window.acked, other.window.acked) == (0, 0)
    assert opened.receive(text("ack", acks={"away": 1, "room": 5}), 1.0)[1] == Acked(place)


def test_a_conversation_called_proto_is_one_like_any_other() -> None:
    opened = open_session()
    place = attached(opened, sent=1, cid=Cid("__proto__"))

    assert opened.receive(text("ack", acks={"__proto__": 1}), 1.0) == [Acked(place)]
    assert opened.receive(text("read", cid="__proto__", seq=1), 1.0) == [ReadTo(Cid("__proto__"), 1, None)]


def test_an_ack_past_what_was_sent_says_both_figures() -> None:
    opened = open_session()
    attached(opened, sent=5)

    assert (
        error(opened, text("ack", acks={"room": 6}))["message"] == "ack 6 is past 5, the last seq sent to this device"
    )


@pytest.mark.parametrize(
    ("fields", "after", "before", "limit"),
    [
        ({}, None, None, 100),
        ({"after": 0}, 0, None, 100),
        ({"after": 7, "limit": 500}, 7, None, 500),
        ({"before": 1, "limit": 1}, None, 1, 1),
    ],
)
def test_a_pull_says_which_page(fields: dict[str, Any], after: int | None, before: int | None, limit: int) -> None:
    opened = open_session()
    place = attached(opened)

    assert opened.receive(text("pull", cid="room", rid=1, **fields), 1.0) == [Fetch(place, after, before, limit, 1)]


@pytest.mark.parametrize(
    "fields", [{"limit": 0}, {"limit": 501}, {"limit": -1}, {"after": 1, "before": 2}, {"after": -1}, {"before": 0}]
)
def test_a_pull_of_no_page_is_invalid(fields: dict[str, Any]) -> None:
    opened = open_session()
    attached(opened)

    assert error(opened, text("pull", cid="room", **fields))["code"] == "invalid"


def test_a_read_says_up_to_where() -> None:
    opened = open_session()
    attached(opened)

    assert opened.receive(text("read", cid="room", seq=3, rid="r"), 1.0) == [ReadTo(ROOM, 3, "r")]
    assert error(opened, text("read", cid="room", seq=0))["code"] == "invalid"


@pytest.mark.parametrize("kind", ["pull", "read"])
def test_a_conversation_that_was_not_listed_is_none_of_the_sessions(kind: str) -> None:
    answer = error(open_session(), text(kind, cid="room", seq=1, rid=5))

    assert (answer["code"], answer["cid"], answer["rid"]) == ("not_a_member", "room", 5)


def test_sync_auth_ping_and_pong() -> None:
    opened = open_session()

    assert opened.receive(text("sync", rid=1), 1.0) == [List(None, 1)]
    assert opened.receive(text("sync", after="b"), 1.0) == [List(Cid("b"), None)]
    assert opened.receive(text("auth", token="t2"), 1.0) == [Renew("t2")]
    assert answers(opened.receive(text("ping", t=7, rid=1), 1.0)) == [{"type": "pong", "t": 7, "rid": 1}]
    assert opened.receive(text("pong"), 1.0) == []
    assert error(opened, text("sync", after="no spaces"))["code"] == "invalid"


def test_a_second_hello_is_refused_and_changes_nothing() -> None:
    opened = open_session()

    assert error(opened, text("hello", device="other"))["code"] == "bad_request"
    assert opened.device == "laptop"


@pytest.mark.parametrize(
    "frame", ["{", "[]", text("nope", rid=1), text("ping", rid={}), '{"type":"nope","rid":"\\ud800"}']
)
def test_a_bad_frame_costs_an_error_and_not_the_session(frame: str) -> None:
    error(open_session(), frame)


@pytest.mark.parametrize(("letter", "count"), [("x", 1024), ("\N{SNOWMAN}", 342)])
def test_a_frame_is_limited_in_bytes_and_not_in_characters(letter: str, count: int) -> None:
    opened = open_session(frame_bytes=1024)
    frame = json.dumps({"type": "ping", "t": letter * count}, ensure_ascii=False)

    (decision,) = opened.receive(frame, 1.0)

    assert isinstance(decision, Close)
    assert (decision.code, opened.phase) == (4413, Phase.CLOSED)


def test_a_closed_session_takes_nothing_more() -> None:
    opened = open_session()
    opened.close(4403, "enough")

    assert opened.receive(text("ping"), 1.0) == []
    assert opened.tick(1e9) is None


# ---------------------------------------------------------------------------------------------------- told by the owner


def test_a_place_ends_with_its_detachment() -> None:
    opened = open_session()
    place = opened.attach(ROOM, LogId("5-9"), Mode.NOTIFY, oldest=3)

    assert (place.window.sent, place.mode, place.oldest, place.attached) == (5, Mode.NOTIFY, 3, True)
    assert opened.detach(ROOM) is place
    assert not place.attached
    assert opened.detach(ROOM) is None


def test_a_fresh_token_must_be_the_same_users() -> None:
    opened = open_session(expires_at=100.0)

    assert opened.renewed(ALICE, expires_at=200.0) is None
    assert opened.tick(99.0) != Close(4401, "token_expired")
    assert opened.expires_at == 200.0
    mallory = opened.renewed(type(ALICE)("mallory"), expires_at=900.0)
    assert mallory == Close(4401, "token_invalid")
    assert opened.phase is Phase.CLOSED
