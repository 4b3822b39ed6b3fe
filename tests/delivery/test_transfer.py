"""The lines of an export as bytes, and bytes as lines."""

from __future__ import annotations

import json

import pytest

from pushpull.delivery import transfer
from pushpull.delivery.transfer import Splitter
from pushpull.errors import NoSuchConversation, TooLarge
from pushpull.model import Cid, ConversationSettings, Edited, Entry, Head, LogId, MovedMember, Prefs, Role, Uid

PLAIN = Entry(LogId("2-2048"), 2, 2, Uid("ann"), "c", "message", b'{ "a":1.0}')


def test_the_first_line_holds_the_settings_that_are_the_conversations_own() -> None:
    head = Head(
        epoch="7",
        last_id=LogId("5-9"),
        floor=2,
        count=4,
        mver=1,
        rev=0,
        members=2,
        settings=ConversationSettings(mode="push", retain_days=3),
    )
    assert json.loads(transfer.conversation_line(Cid("room"), head)) == {
        "type": "conversation",
        "format": 1,
        "cid": "room",
        "epoch": "7",
        "head": 5,
        "last": "5-9",
        "floor": 2,
        "count": 4,
        "settings": {"mode": "push", "retain_days": 3},
    }


def test_a_body_stands_in_its_line_byte_for_byte() -> None:
    line = transfer.message_line(PLAIN, None, b"")
    assert line == (
        b'{"type":"message","seq":2,"id":"2-2048","ts":2,"from":"ann","cmid":"c","kind":"message","body":{ "a":1.0}}\n'
    )


@pytest.mark.parametrize("body", [b'{\n"a":1}', b'{\r"a":1}'])
def test_a_body_with_line_breaks_goes_as_text_on_one_line(body: bytes) -> None:
    entry = Entry(PLAIN.id, 2, 2, None, "c", "message", body)
    line = transfer.message_line(entry, Edited(3, 4), body)
    assert line.count(b"\n") == 1
    assert b"\r" not in line
    found = json.loads(line)
    assert (found["body_text"], found["edited"]["body_text"]) == (body.decode(), body.decode())
    assert "body" not in found


def test_what_an_edited_message_says_since_is_beside_what_it_said() -> None:
    found = json.loads(transfer.message_line(PLAIN, Edited(3, 4), b'"new"'))
    assert found["body"] == {"a": 1.0}
    assert found["edited"] == {"seq": 3, "ts": 4, "body": "new"}


def test_what_is_as_usual_is_left_out_of_a_line() -> None:
    assert json.loads(transfer.redacted_line(3, None, quiet=False)) == {"type": "redacted", "seq": 3}
    ann = MovedMember(
        uid=Uid("ann"), role=Role.READER, joined=1, delivered=2, read=3, prefs=Prefs("none", mute_until=9)
    )
    assert json.loads(transfer.member_line(ann)) == {
        "type": "member",
        "user": "ann",
        "role": "reader",
        "joined": 1,
        "delivered": 2,
        "read": 3,
        "notify": "none",
        "mute_until": 9,
    }


def test_an_export_that_failed_says_why_in_its_last_line() -> None:
    found = json.loads(transfer.failure_line(NoSuchConversation("conversation x does not exist")))
    assert found == {
        "type": "error",
        "error": {"code": "no_such_conversation", "detail": "conversation x does not exist"},
    }


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_their_bytes_come(size: int) -> None:
    text = b"one\ntwo\n\nfour"
    splitter, lines = Splitter(10), []
    for at in range(0, len(text), size):
        lines += splitter.take(text[at : at + size])
    assert [*lines, splitter.last()] == [b"one", b"two", b"", b"four"]
    assert splitter.last() == b""


def test_a_line_that_is_too_long_is_refused_before_it_is_over() -> None:
    splitter = Splitter(5)
    assert splitter.take(b"12345\n123") == [b"12345"]
    with pytest.raises(TooLarge, match="line 2 is over the limit of 5 bytes"):
        splitter.take(b"456")
    with pytest.raises(TooLarge, match="line 1 is over"):
        Splitter(2).take(b"123\n")
