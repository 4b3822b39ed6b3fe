"""Who is notified while away, in which words, and when a failed call is tried again."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pushpull.delivery.offline import body_of, is_notified, level_of, retry_s
from pushpull.model import Absent, Cid, Mode, Notification, Owed, Prefs, Uid
from tests.delivery.words import entry

NOW_MS = 1_000_000


def absent(**changes: Any) -> Absent:
    prefs = Prefs(changes.pop("notify", "all"), changes.pop("mute_until", None))
    fields: dict[str, Any] = {"uid": Uid("bob"), "unread": 3, "mentioned": False, "told": False, "prefs": prefs}
    return Absent(**fields | changes)


@pytest.mark.parametrize(
    ("own", "mode", "level"),
    [
        (None, Mode.PUSH, "all"),
        (None, Mode.NOTIFY, "mentions"),
        ("all", Mode.PUSH, "all"),
        ("all", Mode.NOTIFY, "all"),
        ("mentions", Mode.PUSH, "mentions"),
        ("mentions", Mode.NOTIFY, "mentions"),
        ("none", Mode.PUSH, "none"),
        ("none", Mode.NOTIFY, "none"),
        ("of a later release", Mode.PUSH, "none"),
    ],
)
def test_the_conversation_says_who_may_be_notified(own: str | None, mode: Mode, level: str) -> None:
    assert level_of(own, mode) == level


# conversation, member's notify, mentioned: told?
TABLE = [
    ("all", "all", False, True),
    ("all", "all", True, True),
    ("all", "mentions", False, False),
    ("all", "mentions", True, True),
    ("all", "none", True, False),
    ("mentions", "all", False, False),
    ("mentions", "all", True, True),
    ("mentions", "mentions", False, False),
    ("mentions", "mentions", True, True),
    ("mentions", "none", True, False),
    ("none", "all", True, False),
]


@pytest.mark.parametrize(("level", "notify", "mentioned", "told"), TABLE)
def test_the_conversation_and_the_member_must_both_want_it(
    level: Any, notify: str, mentioned: bool, told: bool
) -> None:
    assert is_notified(absent(notify=notify, mentioned=mentioned), level, now_ms=NOW_MS) is told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"told": True}, False),
        ({"told": True, "mentioned": True}, False),
        ({"unread": 0}, False),
        ({"mute_until": NOW_MS + 1, "mentioned": True}, False),
        ({"mute_until": NOW_MS}, True),
        ({"mute_until": NOW_MS - 1}, True),
    ],
)
def test_the_told_the_muted_and_those_with_nothing_unread_are_left_alone(changes: dict[str, Any], told: bool) -> None:
    assert is_notified(absent(**changes), "all", now_ms=NOW_MS) is told


def notification() -> Notification:
    users = (Owed(Uid("bob"), 3, True), Owed(Uid("carol"), 1, False))
    return Notification(id="e1", cid=Cid("room"), upto=57, newest=56, made_ms=1_700_000_000_123, users=users)


def test_the_body_says_whom_it_is_for_and_carries_the_newest_message_raw() -> None:
    newest = entry(56, body=b'{"n":1.50}')
    body = body_of(notification(), newest)
    assert b'"body":{"n":1.50}' in body
    told = orjson.loads(body)
    assert (told["type"], told["timestamp"]) == ("conversation.unread", "2023-11-14T22:13:20.123Z")
    data = told["data"]
    assert data.pop("item")["seq"] == 56
    assert data == {
        "event": "e1",
        "cid": "room",
        "head": 57,
        "users": [
            {"user": "bob", "unread": 3, "mentioned": True},
            {"user": "carol", "unread": 1, "mentioned": False},
        ],
    }
    assert "item" not in orjson.loads(body_of(notification(), None))["data"]


@pytest.mark.parametrize(
    ("tries", "asked_s", "spread", "wait_s"),
    [
        (1, None, 0.0, 1.0),
        (1, None, 1.0, 0.5),
        (4, None, 0.0, 8.0),
        (4, None, 0.5, 6.0),
        (10, None, 0.0, 512.0),
        (11, None, 0.0, 600.0),
        (10_000, None, 0.0, 600.0),
        (1, 30.0, 0.0, 30.0),
        (10, 30.0, 0.0, 512.0),
        (1, 1e9, 0.0, 3_600.0),
    ],
)
def test_tries_come_later_and_later_and_not_before_the_receiver_wants(
    tries: int, asked_s: float | None, spread: float, wait_s: float
) -> None:
    assert retry_s(tries, asked_s=asked_s, spread=spread) == wait_s
