"""Frames to clients, as the contract writes them."""

from __future__ import annotations

import json

import pytest

from pushpull.delivery import client_frames, frames
from pushpull.errors import Invalid, StoreUnavailable
from pushpull.model import Cid, Cursors, Edited, LogId, Sent, Uid
from tests.delivery.words import ROOM, entry, log_id


def test_an_item_has_what_the_entry_has_and_nothing_else() -> None:
    plain = json.loads(frames.item(entry(7)))

    assert plain == {
        "id": log_id(7),
        "seq": 7,
        "ts": 1007,
        "from": "alice",
        "cmid": "m7",
        "kind": "message",
        "body": "hi",
    }


def test_an_item_of_the_service_has_no_from() -> None:
    assert "from" not in json.loads(frames.item(entry(1, sender=None)))


def test_an_item_says_quiet_mentions_ref_and_edited_where_they_are_set() -> None:
    full = entry(7, quiet=True, mentions=("bob", "*"), ref=0, edited=Edited(9, 1009))

    fields = json.loads(frames.item(full))

    assert (fields["quiet"], fields["mentions"], fields["ref"]) == (True, ["bob", "*"], 0)
    assert fields["edited"] == {"seq": 9, "ts": 1009}


@pytest.mark.parametrize(
    "body", [b'{"b": 1.50, "a":1}', b'"\\u00e9"', b"1E400", b'{"a":1,"a":2}', '"\N{SNOWMAN}"'.encode()]
)
def test_a_body_is_relayed_byte_for_byte(body: bytes) -> None:
    assert b'"body":' + body in frames.item(entry(1, body=body))


def test_a_messages_frame_joins_items_that_are_encoded_already() -> None:
    items = [frames.item(entry(2)), frames.item(entry(3))]

    frame = json.loads(frames.messages(ROOM, 1, 4, "4-9", items, head=9, floor=1))

    assert frame == {
        "type": "messages",
        "cid": "room",
        "after": 1,
        "upto": 4,
        "upto_id": "4-9",
        "items": [json.loads(item) for item in items],
        "head": 9,
        "floor": 1,
    }


def test_a_redelivery_says_the_how_manieth_it_is() -> None:
    frame = json.loads(frames.messages(ROOM, 1, 2, "2-9", [], head=2, floor=1, redelivery=3))

    assert (frame["redelivery"], frame["items"]) == (3, [])


@pytest.mark.parametrize(("rid", "shown"), [(None, {}), (0, {"rid": 0}), ("", {"rid": ""}), ('"\n', {"rid": '"\n'})])
def test_a_history_frame_carries_the_rid_it_was_asked_with(rid: client_frames.Rid, shown: dict[str, object]) -> None:
    frame = json.loads(frames.history(ROOM, 5, [frames.item(entry(4))], floor=2, more=True, rid=rid))

    items = [json.loads(frames.item(entry(4)))]
    assert frame == {"type": "history", "cid": "room", "before": 5, "items": items, "floor": 2, "more": True, **shown}


def test_a_notice_has_two_variants_and_no_more() -> None:
    plain = frames.notice(ROOM, head=5, count=4)
    mentioned = frames.notice(ROOM, head=5, count=4, mentioned=True)

    assert json.loads(plain) == {"type": "notice", "cid": "room", "head": 5, "count": 4}
    assert json.loads(mentioned) == {"type": "notice", "cid": "room", "head": 5, "count": 4, "mentioned": True}


def test_what_goes_to_one_receiver_carries_its_rid() -> None:
    sent = Sent(ROOM, "m", LogId("5-9"), False)
    moved = Cursors(delivered=4, read=3, unread=1, count=5)

    assert json.loads(frames.welcome({"session": "s"}, "r")) == {"type": "welcome", "session": "s", "rid": "r"}
    assert json.loads(frames.sync([], Cid("b"), 1)) == {"type": "sync", "conversations": [], "next": "b", "rid": 1}
    assert json.loads(frames.sent(sent, 1)) == {
        "type": "sent",
        "cid": "room",
        "cmid": "m",
        "id": "5-9",
        "dup": False,
        "rid": 1,
    }
    assert json.loads(frames.cursors(ROOM, moved)) == {
        "type": "cursors",
        "cid": "room",
        "delivered": 4,
        "read": 3,
        "unread": 1,
        "count": 5,
    }
    assert json.loads(frames.pong(1.5, "r")) == {"type": "pong", "t": 1.5, "rid": "r"}
    assert json.loads(frames.pong(None)) == {"type": "pong"}


def test_a_reset_names_where_to_go_on() -> None:
    frame = json.loads(frames.reset(ROOM, "diverged", epoch="e2", pos="5-9", head=8, floor=1))

    assert frame == {
        "type": "reset",
        "cid": "room",
        "reason": "diverged",
        "epoch": "e2",
        "pos": "5-9",
        "head": 8,
        "floor": 1,
    }


def test_a_conversation_change_has_a_row_where_there_is_one() -> None:
    assert json.loads(frames.conversation(ROOM, "left")) == {"type": "conversation", "cid": "room", "change": "left"}
    assert json.loads(frames.conversation(ROOM, "joined", {"head": 1}))["row"] == {"head": 1}


def test_an_error_says_what_a_client_may_do_about_it() -> None:
    temporary = StoreUnavailable("redis is away", retry_after_ms=500)

    assert json.loads(frames.error(temporary, rid=1, cid="room", cmid="m")) == {
        "type": "error",
        "code": "store_unavailable",
        "message": "redis is away",
        "temporary": True,
        "cid": "room",
        "cmid": "m",
        "retry_after_ms": 500,
        "rid": 1,
    }
    assert json.loads(frames.error(Invalid("no"))) == {
        "type": "error",
        "code": "invalid",
        "message": "no",
        "temporary": False,
    }


def test_ping_and_drain_are_what_the_contract_says() -> None:
    assert json.loads(frames.ping()) == {"type": "ping"}
    assert json.loads(frames.drain(after_ms=0, jitter_ms=9)) == {"type": "drain", "after_ms": 0, "jitter_ms": 9}


def test_a_uid_that_looks_like_json_stays_a_uid() -> None:
    assert json.loads(frames.item(entry(1, sender=Uid("a@b.c:1"))))["from"] == "a@b.c:1"
