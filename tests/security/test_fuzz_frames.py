"""Whatever a connection says, the parser and the session answer with a decision of the contract and nothing else."""

from __future__ import annotations

import json
import typing

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pushpull.delivery import client_frames, frames
from pushpull.delivery.client_frames import BadFrame, ClientFrame
from pushpull.delivery.decisions import Authenticate, Close, Decision, Reply, Submit
from pushpull.delivery.session import Phase, Session
from pushpull.errors import BY_CODE
from tests.delivery.words import ALICE, open_session, session

CLOSES = {4400, 4401, 4408, 4413, 4429}
REASON_BYTES = 123
ANSWER_BYTES = 2_000
"""An answer repeats at most the names of a frame, and these are cut: nobody is to make the service talk at length."""

FIXED = settings(derandomize=True, max_examples=200)

GOOD = [
    b'{"type":"hello","device":"d","token":"t","positions":{"room":"5-9"},"unnamed":"head","max_backlog":7,"rid":1}',
    b'{"type":"auth","token":"t"}',
    b'{"type":"send","cid":"room","cmid":"m","body":{"a":[1,2.5,null,"x"]},"kind":"edit","ref":1,"mentions":["bob"]}',
    b'{"type":"ack","acks":{"room":1,"__proto__":0}}',
    b'{"type":"read","cid":"room","seq":3,"rid":"r"}',
    b'{"type":"pull","cid":"room","after":0,"before":null,"limit":5}',
    b'{"type":"sync","after":"a"}',
    b'{"type":"ping","t":1.5}',
    b'{"type":"focus","cid":"room","active":false}',
]
NASTY = [
    b"",
    b"\x00",
    b"\xff\xfe\xfd",
    b"\xef\xbb\xbf{}",
    b"\xed\xa0\x80",
    b"null",
    b"[]",
    b'"',
    b"NaN",
    b'{"type":"ping","t":NaN}',
    b'{"type":"ping","t":1e999}',
    b'{"type":"ping","t":-0}',
    b'{"type":"ping","t":' + b"9" * 5_000 + b"}",
    b'{"type":"ping","rid":' + b"9" * 5_000 + b',"t":[]}',
    b'{"type":"ping","type":"send","type":5}',
    b'{"type":"ping","rid":"a","rid":{},"t":[]}',
    b'{"type":"ping","t":[],"rid":"\\ud800"}',
    b'{"type":"send","cid":"room","cmid":"\\ud800","body":"\\udc00"}',
    b'{"type":"send","cid":"room","cmid":"m","body":"\xff"}',
    b'{"type":"send","cid":"room","cmid":"m","body":1e400}',
    b'{"type":"send","cid":"room","cmid":"m","body":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    b'{"type":"send","cid":"room","cmid":"m","body":' + b"[" * 100_000,
    b'{"type":"send","cid":"room","cmid":"m","body":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b'{"type":"' + b"x" * 10_000 + b'"}',
    b'{"type":"read","cid":"' + b"x" * 10_000 + b'","seq":[]}',
    b'{"type":"ack","acks":{' + b",".join(b'"%d":1' % n for n in range(3_000)) + b"}}",
    b'{"type":"ack","acks":{"room":9007199254740993,"a":-1}}',
    b'{"type":"hello","device":"a\\u0000b","token":"' + b"e" * 15_000 + b'"}',
    b'{"type":"hello","device":"\\r\\nSet-Cookie: a","positions":{"../..":"1-1"}}',
    b'{"type":"sync","after":"a\\u2028b"}',
]

names = st.sampled_from(["room", "__proto__", "", "no blanks", "x" * 129, "\ud800", "a\nb", "\u2028", "é"])
words = names | st.text(st.characters(codec=None), max_size=20)
numbers = st.integers() | st.sampled_from([2**53, -(2**53), 2**64, 10**400, True]) | st.floats()
plain = st.none() | st.booleans() | numbers | words
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=8
)
FIELDS = ["cid", "cmid", "body", "kind", "quiet", "mentions", "ref", "first_at", "rid", "acks", "seq"]
FIELDS += ["after", "before", "limit", "t", "token", "device", "positions"]
kinds = st.sampled_from([*sorted(client_frames.KNOWN_TYPES), "welcome", ""]) | values
objects = st.fixed_dictionaries({"type": kinds}, optional=dict.fromkeys(FIELDS, values))


def written(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A good frame with some of its bytes taken out, put in or doubled."""
    frame = bytearray(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        at, size = draw(st.integers(0, len(frame))), draw(st.integers(0, 6))
        frame[at : at + size] = draw(st.binary(max_size=4) | st.just(bytes(frame[at : at + 20])))
    return bytes(frame)


anything = st.binary(max_size=200) | st.builds(written, values) | st.builds(written, objects) | spoiled()


def check_answer(data: bytes) -> None:
    frame = orjson.loads(data)
    if frame["type"] == "error":
        assert frame["code"] in BY_CODE
        assert len(data) < ANSWER_BYTES
        assert "\n" not in frame["message"]


def check_decisions(decisions: list[Decision], of: Session) -> None:
    for decision in decisions:
        assert isinstance(decision, typing.get_args(Decision))
        match decision:
            case Reply(data):
                check_answer(data)
            case Close(code, _):
                assert code in CLOSES
                assert of.phase is Phase.CLOSED
            case Submit(draft):
                assert (draft.sender, draft.own) == (ALICE, True)
                orjson.loads(draft.body)


def check_parse(data: bytes) -> None:
    try:
        assert isinstance(client_frames.parse(data), ClientFrame)
    except BadFrame as bad:
        check_answer(frames.error(bad.error, rid=bad.rid, cid=bad.cid, cmid=bad.cmid))


@pytest.mark.parametrize("data", NASTY, ids=range(len(NASTY)))
def test_each_known_trick_is_answered(data: bytes) -> None:
    check_parse(data)
    opened, fresh = open_session(), session()
    check_decisions(opened.receive(data, 1.0), opened)
    decisions = fresh.receive(data, 1.0)
    check_decisions(decisions, fresh)
    assert [type(decision) for decision in decisions] in ([Close], [Authenticate])


@FIXED
@given(anything)
@example(b'{"type":"ping","rid":1e3}')
def test_any_bytes_are_a_frame_or_a_bad_frame(data: bytes) -> None:
    check_parse(data)


@FIXED
@given(st.text(st.characters(codec=None), max_size=100))
def test_any_text_is_a_frame_or_a_bad_frame(text: str) -> None:
    try:
        client_frames.parse(text)
    except BadFrame as bad:
        check_answer(frames.error(bad.error, rid=bad.rid, cid=bad.cid, cmid=bad.cmid))


@FIXED
@given(st.lists(anything, min_size=1, max_size=6))
def test_an_open_session_takes_whatever_comes(said: list[bytes]) -> None:
    of = open_session()
    for data in said:
        check_decisions(of.receive(data, 1.0), of)


@FIXED
@given(anything)
def test_before_hello_anything_but_one_ends_it(data: bytes) -> None:
    of = session()

    decisions = of.receive(data, 1.0)

    check_decisions(decisions, of)
    assert len(decisions) == 1
    assert isinstance(decisions[0], Close | Authenticate)
    if isinstance(decisions[0], Close):
        assert of.receive(GOOD[0], 1.0) == [], "nothing is taken after the end"
