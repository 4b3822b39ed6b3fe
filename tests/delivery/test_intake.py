"""The lines of a file that is brought in: what they become, and what is refused, with the line it is about."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushpull.delivery.intake import AHEAD_MS, LIFT_MS, Intake, Summary
from pushpull.errors import BadRequest, Invalid, LimitReached, PushpullError, TooLarge
from pushpull.model import EXACT_MAX, Cid, LogId, MovedMember, MovedMessage, Prefs, Role, Uid
from pushpull.settings import Limits

NOW_MS = 1_700_000_000_000
TS = NOW_MS - 10_000
FIRST = {"type": "conversation", "format": 1}


def log_id(seq: int, ms: int) -> str:
    return f"{seq}-{ms * 1024 + 7}"


def message(**fields: Any) -> dict[str, Any]:
    return {"type": "message", "ts": TS, "body": "hi", **fields}


def member(**fields: Any) -> dict[str, Any]:
    return {"type": "member", "user": "ann", **fields}


def end(**counts: int | str) -> dict[str, Any]:
    return {"type": "end", "messages": 0, **counts}


def encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line).encode()


def intake(**limits: int) -> Intake:
    return Intake(Cid("room"), Limits(**limits), NOW_MS)


def taken(*lines: dict[str, Any], first: dict[str, Any] = FIRST) -> list[MovedMessage | MovedMember | None]:
    reading = intake()
    reading.first(encoded(first))
    return [reading.take(encoded(line)) for line in lines]


def summed(*lines: dict[str, Any], **first: Any) -> Summary:
    reading = intake()
    reading.first(encoded(FIRST | first))
    for line in lines:
        reading.take(encoded(line))
    return reading.finish()


def refusal(*lines: dict[str, Any], first: dict[str, Any] = FIRST) -> PushpullError:
    with pytest.raises(PushpullError) as refused:
        taken(*lines, first=first)
    return refused.value


def test_messages_without_seq_id_and_cmid_get_the_next_seq_and_a_cmid_of_it() -> None:
    one, two = taken(message(), message(**{"from": "ann"}, quiet=True))
    assert isinstance(one, MovedMessage)
    assert isinstance(two, MovedMessage)
    assert (one.seq, one.id, one.ms, one.quiet) == (1, None, TS, False)
    assert one.draft is not None
    assert (one.draft.cmid, one.draft.sender, one.draft.body) == ("import:1", None, b'"hi"')
    assert two.draft is not None
    assert (two.seq, two.quiet, two.draft.cmid, two.draft.sender) == (2, True, "import:2", "ann")


def test_an_id_gives_the_time_and_stays() -> None:
    (one,) = taken({"type": "message", "id": log_id(1, TS), "cmid": "c", "body": 1})
    assert isinstance(one, MovedMessage)
    assert (one.id, one.ms) == (log_id(1, TS), TS)


def test_a_body_is_kept_byte_for_byte_also_where_it_holds_line_breaks() -> None:
    reading = intake()
    reading.first(encoded(FIRST))
    spaced = reading.take(b'{"type":"message","ts":1,"body":{ "a" :1.0 }}')
    broken = reading.take(encoded({"type": "message", "ts": 1, "body_text": '{\n"a": 1}'}))
    bodies = [line.draft.body for line in (spaced, broken) if isinstance(line, MovedMessage) and line.draft]
    assert bodies == [b'{ "a" :1.0 }', b'{\n"a": 1}']


def test_a_redaction_that_was_stored_may_stand_in_a_file() -> None:
    hole, redact = taken({"type": "redacted", "id": log_id(1, TS)}, message(kind="redact", ref=1, body=None))
    assert isinstance(hole, MovedMessage)
    assert isinstance(redact, MovedMessage)
    assert (hole.seq, hole.draft, hole.quiet) == (1, None, False)
    assert redact.draft is not None
    assert (redact.draft.kind, redact.draft.ref, redact.quiet) == ("redact", 1, True)


def test_the_log_begins_at_the_floor_and_goes_on_at_one_that_rose() -> None:
    lines = taken(message(), {"type": "floor", "floor": 9}, message(), first=FIRST | {"floor": 5})
    assert [line.seq for line in lines if isinstance(line, MovedMessage)] == [5, 9]


def test_a_member_without_cursors_has_read_everything_and_joined_before_it() -> None:
    _, ann, bob = taken(
        message(),
        member(),
        member(user="bob", role="reader", joined=1, delivered=1, read=0, notify="none", mute_until=5),
    )
    assert ann == MovedMember(uid=Uid("ann"), role=Role.MEMBER, joined=0, delivered=1, read=1)
    assert bob == MovedMember(
        uid=Uid("bob"), role=Role.READER, joined=1, delivered=1, read=0, prefs=Prefs("none", mute_until=5)
    )


def test_a_time_that_goes_back_a_little_is_lifted_and_one_that_goes_back_far_is_refused() -> None:
    _, lifted = taken(message(), message(ts=TS - LIFT_MS))
    assert isinstance(lifted, MovedMessage)
    assert lifted.ms == TS
    refused = refusal(message(), message(ts=TS - LIFT_MS - 1))
    assert refused.message == (
        f"line 3: ts {TS - LIFT_MS - 1} is {LIFT_MS + 1} ms before the line before: expected lines in order of time"
    )


BAD: list[tuple[dict[str, Any], type[PushpullError], str]] = [
    (message(seq=3), Invalid, "seq 3 is not 2, the next one: where a message was taken out"),
    (message(seq=1), Invalid, "seq 1 is not 2, the next one"),
    (message(id=log_id(3, TS)), Invalid, "is not one of seq 2"),
    (message(id=log_id(2, TS - 1)), Invalid, f"is of {TS - 1}, before the {TS}"),
    (message(id=log_id(2, TS), ts=TS + 1), Invalid, f"ts {TS + 1} is not {TS}"),
    (message(id="2"), Invalid, "position '2' is not a log id"),
    (message(ts=None), Invalid, "ts None is not a time"),
    (message(ts=NOW_MS + AHEAD_MS + 1), Invalid, "24 hours in the future"),
    (message(ts="now"), BadRequest, "expected `int | null`, got `str` - at `$.ts`"),
    (message(body_text="1"), Invalid, "either 'body' or 'body_text'"),
    ({"type": "message", "ts": TS}, Invalid, "either 'body' or 'body_text'"),
    ({"type": "message", "ts": TS, "body_text": "{"}, BadRequest, "body is not JSON"),
    (message(body="x" * 70_000), TooLarge, "body of 70002 bytes"),
    (message(cmid=""), Invalid, "cmid '' of 0 characters"),
    (message(**{"from": "no name"}), Invalid, "uid 'no name'"),
    (message(kind="sys.joined", **{"from": "ann"}), Invalid, "kind 'sys.joined'"),
    (message(kind="edit"), Invalid, "kind 'edit' needs 'ref'"),
    (message(kind="redact"), Invalid, "kind 'redact' needs 'ref'"),
    (message(ref=2), Invalid, "ref 2 is not a seq below 2"),
    (message(mentions=["no name"]), Invalid, "uid 'no name'"),
    ({"type": "redacted", "seq": 4}, Invalid, "seq 4 is not 2"),
    ({"type": "floor", "floor": 2}, Invalid, "floor 2 is not above 2"),
    (member(user=""), Invalid, "uid ''"),
    (member(role="king"), Invalid, "role 'king' is not one of reader, member, moderator"),
    (member(read=2), Invalid, "read 2 is not a seq from 0 to 1, the head"),
    (member(joined=-1), Invalid, "joined -1"),
    (member(notify="some"), Invalid, "notify 'some' is not one of"),
    (member(mute_until=-1), Invalid, "mute_until -1"),
    (FIRST, BadRequest, "a second line of a conversation"),
    ({"type": "folder"}, BadRequest, "invalid value 'folder' - at `$.type`"),
    (
        {"type": "error", "error": {"code": "no_such_conversation", "detail": "go\x1bne"}},
        Invalid,
        "failed with no_such_conversation: gone",
    ),
    ({"type": "error", "error": {"code": 5}}, Invalid, "failed with 5: "),
    (end(messages=2), Invalid, "the file has 1 lines of messages, and its 'end' counts 2"),
    (end(messages=1, members=1), Invalid, "the file has 0 lines of members"),
    (end(messages=1, sha256="00"), Invalid, "sha256 '00' is not"),
]


@pytest.mark.parametrize(("line", "error", "says"), BAD, ids=[f"{n} {row[2]:.30}" for n, row in enumerate(BAD)])
def test_a_bad_line_is_refused_with_its_number_and_what_was_expected(
    line: dict[str, Any], error: type[PushpullError], says: str
) -> None:
    refused = refusal(message(), line)
    assert type(refused) is error
    assert refused.message.startswith("line 3: ")
    assert says in refused.message


SURROGATE = b'{"type":"message","ts":1,"body_text":"\\ud800"}'


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"\xff", b'{"type":"message","ts":1,"body":"\xff"}', SURROGATE])
def test_what_is_no_line_is_refused_without_a_word_of_it(line: bytes) -> None:
    reading = intake()
    reading.first(encoded(FIRST))
    with pytest.raises(BadRequest, match=r"^line 2: "):
        reading.take(line)


@pytest.mark.parametrize(
    ("first", "says"),
    [
        (message(), "line 1: expected the line of the conversation"),
        (FIRST | {"format": 2}, "line 1: format 2 is not 1"),
        (FIRST | {"floor": 0}, "line 1: floor 0 is not a seq"),
        (FIRST | {"last": "x"}, "line 1: position 'x'"),
        (
            FIRST | {"last": log_id(5, NOW_MS + AHEAD_MS + 1)},
            f"line 1: ts {NOW_MS + AHEAD_MS + 1} is more than 24 hours",
        ),
    ],
)
def test_the_first_line_is_that_of_the_conversation(first: dict[str, Any], says: str) -> None:
    assert refusal(first=first).message.startswith(says)


def test_messages_come_before_members_and_nothing_after_the_end() -> None:
    assert "a message after a member" in refusal(member(), message()).message
    assert refusal(end(), message()).message == "line 3: a line follows the 'end'"


def test_blank_lines_after_the_end_are_passed_over() -> None:
    reading = intake()
    reading.first(encoded(FIRST))
    for line in (encoded(end()), b"", b"\r"):
        reading.take(line)
    assert reading.finish().messages == 0


def test_no_seq_is_given_beyond_what_numbers_hold() -> None:
    refused = refusal(message(), message(), first=FIRST | {"floor": EXACT_MAX})
    assert refused.message.startswith(f"line 3: seq {EXACT_MAX + 1} is over {EXACT_MAX}")


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1-5", "ann", "edit"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
LINES = [
    message(id=log_id(1, TS), mentions=["bob"], ref=1, kind="edit", quiet=True, cmid="c", edited={"seq": 2, "ts": 3}),
    {"type": "message", "ts": TS, "body_text": "1"},
    {"type": "redacted", "seq": 1, "id": log_id(1, TS), "quiet": True},
    {"type": "floor", "floor": 7},
    member(role="reader", joined=1, delivered=1, read=0, notify="all", mute_until=5),
    end(redacted=1, members=0, sha256="00"),
    {"type": "error", "error": {"code": "x", "detail": "y"}},
]


@settings(derandomize=True, deadline=None, max_examples=300, database=None)
@given(st.sampled_from(LINES), st.data(), JSON_VALUES)
def test_whatever_stands_in_a_field_is_taken_or_refused_with_its_line(
    line: dict[str, Any], data: st.DataObject, value: Any
) -> None:
    reading = intake()
    reading.first(encoded(FIRST))
    said = "line 2: "
    try:
        reading.take(encoded(line | {data.draw(st.sampled_from(sorted(line))): value}))
    except PushpullError as refused:
        said = refused.message
    assert said.startswith("line 2: ")
    assert reading.line == 2


def test_more_members_than_a_conversation_may_have_are_refused() -> None:
    reading = intake(members=1)
    reading.first(encoded(FIRST))
    reading.take(encoded(member()))
    with pytest.raises(LimitReached, match="line 3: 2 members: the limit is 1"):
        reading.take(encoded(member(user="bob")))


def test_a_file_without_its_end_was_cut_off() -> None:
    with pytest.raises(BadRequest, match="the file ends at line 2, without an 'end'"):
        summed(message())


def test_the_checksum_is_over_all_lines_before_the_end() -> None:
    lines = [encoded(line) for line in (FIRST, message())]
    sha256 = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    assert summed(message(), end(messages=1, sha256=sha256)).sha256 == sha256


def test_a_file_says_what_it_came_to() -> None:
    lines = (message(), message(quiet=True), {"type": "redacted", "quiet": True}, message(), member())
    found = summed(*lines, end(messages=3, redacted=1, members=1), floor=3, count=4)
    assert found.last is None
    assert (found.last_ms, found.floor, found.count) == (TS, 3, 4)
    assert (found.messages, found.redacted, found.members) == (3, 1, 1)


def test_without_a_count_what_is_not_quiet_is_counted() -> None:
    assert summed(message(), message(quiet=True), end(messages=2)).count == 1
    assert summed(message(), end(messages=1), floor=3).count == 3


def test_where_retention_took_everything_the_first_line_knows_the_last_id() -> None:
    found = summed(end(), floor=6, last=log_id(5, TS), count=5)
    assert (found.last, found.last_ms, found.count) == (LogId(log_id(5, TS)), TS, 5)


@pytest.mark.parametrize(
    ("first", "says"),
    [
        ({"head": 2}, "the head is 2, and the file ends at seq 1"),
        ({"last": log_id(2, TS)}, "the head is 2, and the file ends at seq 1"),
        ({"last": log_id(1, TS + 1)}, "the last id is"),
        ({"count": 2}, "count 2 is not from 1 to 1"),
        ({"count": 0}, "count 0 is not from 1 to 1"),
    ],
)
def test_a_first_line_that_says_otherwise_than_the_file_is_noticed(first: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid) as refused:
        summed(message(id=log_id(1, TS)), end(messages=1), **first)
    assert says in refused.value.message


def test_a_head_with_nothing_kept_needs_its_id() -> None:
    with pytest.raises(Invalid, match="the first line needs 'last'"):
        summed(end(), floor=6)
