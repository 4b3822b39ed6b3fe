"""From what a sender wrote to a draft that may be appended."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pushpull.delivery.drafts import DraftFields, check_body, draft, redaction
from pushpull.errors import BadRequest, Invalid, PushpullError, TooLarge
from pushpull.model import Draft, Uid
from pushpull.settings import Limits
from tests.delivery.words import ALICE, ROOM

LIMITS = Limits(body_bytes=20, mentions=2)


def drafted(*, sender: Uid | None = ALICE, own: bool = True, **changes: Any) -> Draft:
    fields = DraftFields(**{"cmid": "m", "body": msgspec.Raw(b'"hi"')} | changes)
    return draft(fields, cid=ROOM, sender=sender, own=own, limits=LIMITS, chain="s1")


def test_a_draft_carries_what_the_sender_wrote() -> None:
    made = drafted(kind="reaction", ref=3, mentions=["bob"], first_at=5)

    assert made == Draft(
        cid=ROOM,
        sender=ALICE,
        cmid="m",
        body=b'"hi"',
        kind="reaction",
        quiet=True,
        mentions=("bob",),
        ref=3,
        first_at=5,
        own=True,
        chain="s1",
    )


@pytest.mark.parametrize(("kind", "quiet"), [("message", False), ("edit", True), ("reaction", True), ("poll", False)])
def test_edits_and_reactions_are_quiet_whatever_is_asked(kind: str, quiet: bool) -> None:
    assert drafted(kind=kind, ref=1).quiet is quiet
    assert drafted(kind=kind, ref=1, quiet=True).quiet is True


@pytest.mark.parametrize("cmid", ["a", "x" * 64, "with space", "\N{SNOWMAN}", "__proto__", "a/b"])
def test_a_cmid_is_1_to_64_printable_characters(cmid: str) -> None:
    assert drafted(cmid=cmid).cmid == cmid


@pytest.mark.parametrize("cmid", ["", "x" * 65, "a\nb", "\x00", "a\u202e"])
def test_any_other_cmid_is_invalid(cmid: str) -> None:
    with pytest.raises(Invalid, match=r"^cmid "):
        drafted(cmid=cmid)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": ""}, "kind '' is not 1 to 64"),
        ({"kind": "k" * 65}, "is not 1 to 64"),
        ({"kind": "a\tb"}, "is not 1 to 64"),
        ({"kind": "redact", "ref": 1}, "delete the message instead"),
        ({"kind": "edit"}, "kind 'edit' needs 'ref'"),
        ({"kind": "reaction"}, "kind 'reaction' needs 'ref'"),
        ({"ref": 0}, "ref 0 is not a seq"),
        ({"ref": -1}, "ref -1 is not a seq"),
        ({"first_at": -1}, "first_at -1 is not a time"),
        ({"mentions": ["a", "b", "c"]}, "3 mentions are over the limit of 2"),
        ({"mentions": ["no spaces"]}, "uid 'no spaces' is not"),
        ({"mentions": [""]}, "uid '' is not"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_expected(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        drafted(**changes)


@pytest.mark.parametrize(("sender", "own"), [(ALICE, True), (ALICE, False)])
def test_only_the_service_itself_sends_its_own_kinds(sender: Uid, own: bool) -> None:
    with pytest.raises(Invalid, match="only a server key without 'from' may send it"):
        drafted(kind="sys.joined", sender=sender, own=own)
    assert drafted(kind="sys.joined", sender=None, own=False).kind == "sys.joined"


def test_not_even_the_service_sends_a_redact_as_a_message() -> None:
    with pytest.raises(Invalid):
        drafted(kind="redact", ref=1, sender=None, own=False)


def test_a_mention_counts_once_and_everyone_is_a_mention() -> None:
    assert drafted(mentions=["bob", "bob"]).mentions == ("bob",)
    assert drafted(mentions=["*"]).mentions == ("*",)


@pytest.mark.parametrize("body", [b"null", b"0", b'""', b"[]", b'{"a": 1.50}', b" 1 ", b"-0", '"\N{SNOWMAN}"'.encode()])
def test_any_json_is_a_body_and_stays_as_it_is(body: bytes) -> None:
    assert check_body(body, 20) == body


@pytest.mark.parametrize(
    "body", [b"", b"NaN", b"Infinity", b"{", b"'a'", b'"\\ud800"', b'"\\udc00x"', b'"\xff"', b"1 2", b"1e999", b"\x00"]
)
def test_what_is_no_json_is_no_body(body: bytes) -> None:
    with pytest.raises(BadRequest, match=r"^body is not JSON: "):
        check_body(body, 20)


def test_a_body_nested_too_deeply_is_refused_and_not_a_crash() -> None:
    with pytest.raises(BadRequest):
        check_body(b"[" * 100_000 + b"]" * 100_000, 1_000_000)


def test_a_body_is_as_long_as_the_limit_and_no_longer() -> None:
    assert check_body(b'"%b"' % (b"x" * 18), 20)
    with pytest.raises(TooLarge, match="body of 21 bytes is over the limit of 20"):
        check_body(b'"%b"' % (b"x" * 19), 20)


def test_no_refusal_shows_the_body() -> None:
    for body in (b'"secret', b'"secret secret secret"'):
        with pytest.raises(PushpullError) as refused:
            check_body(body, 20)
        assert "secret" not in str(refused.value)


def test_a_redaction_is_quiet_and_has_the_same_cmid_each_time() -> None:
    one, other = (redaction(ROOM, 7, sender=ALICE, own=True) for _ in range(2))

    assert one == other
    assert (one.kind, one.ref, one.quiet, one.body, one.cmid) == ("redact", 7, True, b"null", "redact:7")


@pytest.mark.parametrize("body", [b"[" * 200 + b"]" * 200, b'{"a":' * 200 + b"1" + b"}" * 200, b"[[],{},[1]]"])
def test_a_body_may_nest_so_deep(body: bytes) -> None:
    assert check_body(body, 10_000) == body


@pytest.mark.parametrize("body", [b"[" * 201 + b"]" * 201, b'[{"a":' * 101 + b"1" + b"}]" * 101])
def test_a_body_that_nests_deeper_is_invalid(body: bytes) -> None:
    """Parsers give up somewhere above, each in another place: what one lets in, the next could not read."""
    with pytest.raises(Invalid, match="over 200 arrays and objects inside each other"):
        check_body(body, 10_000)


def test_many_brackets_beside_each_other_or_in_a_string_are_no_depth() -> None:
    for body in (b"[" + b"[]," * 500 + b"[]]", b'"' + b"[" * 500 + b'"'):
        assert check_body(body, 10_000) == body
