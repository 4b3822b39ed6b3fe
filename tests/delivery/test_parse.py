"""Frames from clients: what is taken, and what is said about those that are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pushpull.delivery import client_frames, frames
from pushpull.delivery.client_frames import BadFrame

EXACT_MAX = 2**53 - 1


def refusal(text: str | bytes) -> BadFrame:
    with pytest.raises(BadFrame) as refused:
        client_frames.parse(text)
    return refused.value


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        (
            '{"type":"hello","device":"d","token":"t","client":"c/1","positions":{"room":"5-9"},"unnamed":"head",'
            '"max_backlog":7,"focus":"room","features":["f"],"rid":1}',
            client_frames.Hello(
                device="d",
                token="t",
                client="c/1",
                positions={"room": "5-9"},
                unnamed="head",
                max_backlog=7,
                focus="room",
                features=["f"],
                rid=1,
            ),
        ),
        ('{"type":"hello","device":"d"}', client_frames.Hello(device="d")),
        ('{"type":"auth","token":"t"}', client_frames.Auth(token="t")),
        ('{"type":"ack","acks":{"a":1,"b":0}}', client_frames.Ack(acks={"a": 1, "b": 0})),
        ('{"type":"read","cid":"a","seq":3,"rid":"r"}', client_frames.Read(cid="a", seq=3, rid="r")),
        ('{"type":"pull","cid":"a"}', client_frames.Pull(cid="a")),
        ('{"type":"pull","cid":"a","after":0,"limit":5}', client_frames.Pull(cid="a", after=0, limit=5)),
        ('{"type":"pull","cid":"a","before":9}', client_frames.Pull(cid="a", before=9)),
        ('{"type":"sync","after":"a"}', client_frames.Sync(after="a")),
        ('{"type":"ping","t":1.5}', client_frames.Ping(t=1.5)),
        ('{"type":"pong","t":"x"}', client_frames.Pong(t="x")),
        ('{"rid":null,"type":"ping"}', client_frames.Ping()),
    ],
)
def test_each_frame_is_read_with_all_its_fields(text: str, frame: object) -> None:
    assert client_frames.parse(text) == frame
    assert client_frames.parse(text.encode()) == frame


def test_a_sends_body_stays_as_it_came_byte_for_byte() -> None:
    frame = client_frames.parse('{"type":"send","cid":"a","cmid":"m","body": {"b": 1.50, "a":"\\u00e9"} }')

    assert isinstance(frame, client_frames.Send)
    assert bytes(frame.body) == b'{"b": 1.50, "a":"\\u00e9"}'
    assert (frame.kind, frame.quiet, frame.mentions, frame.ref) == ("message", False, [], None)


def test_fields_that_are_not_known_are_ignored() -> None:
    assert client_frames.parse('{"type":"ping","new":{"deep":[1]},"t":1}') == client_frames.Ping(t=1)


def test_a_conversation_may_be_called_what_javascript_cannot_name() -> None:
    assert client_frames.parse('{"type":"ack","acks":{"__proto__":1}}') == client_frames.Ack(acks={"__proto__": 1})


@pytest.mark.parametrize("kind", ["nope", "welcome", "messages", "HELLO", ""])
def test_an_unknown_type_is_unsupported(kind: str) -> None:
    bad = refusal(json.dumps({"type": kind, "rid": 4, "cid": "room", "cmid": "m"}))

    assert bad.error.code == "unsupported"
    assert (bad.rid, bad.cid, bad.cmid) == (4, "room", "m")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        "nonsense",
        '{"type":"ping"} {"type":"ping"}',
        '{"type":"ping",}',
        "{'type':'ping'}",
        '"\ud800"',
        '{"type":"ping","t":' + "9" * 5000 + "}",
        '{"type":"send","cid":"a","cmid":"m","body":' + "[" * 50_000 + "]" * 50_000 + "}",
        b"\xff\xfe{}",
        b'{"type":"ping","t":"\xff"}',
        b"\x00",
    ],
)
def test_what_is_no_json_is_a_bad_request(text: str | bytes) -> None:
    bad = refusal(text)

    assert bad.error.code == "bad_request"
    assert bad.rid is None
    assert len(bad.error.message) < 400


@pytest.mark.parametrize(("text", "shape"), [("[]", "list"), ('"ping"', "str"), ("null", "NoneType"), ("1", "int")])
def test_what_is_no_object_is_said_to_be_none(text: str, shape: str) -> None:
    assert refusal(text).error.message == f"frame is a JSON {shape}, not an object"


@pytest.mark.parametrize("text", ["{}", '{"type":null}', '{"type":3}', '{"type":["ping"]}', '{"typ":"ping"}'])
def test_a_frame_without_a_type_is_said_to_have_none(text: str) -> None:
    assert refusal(text).error.message == "frame has no 'type', a string"


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "hello"},
        {"type": "hello", "device": 1},
        {"type": "hello", "device": "d", "positions": {"room": 5}},
        {"type": "hello", "device": "d", "positions": ["room"]},
        {"type": "hello", "device": "d", "unnamed": "tail"},
        {"type": "auth"},
        {"type": "auth", "token": None},
        {"type": "send", "cid": "a", "cmid": "m"},
        {"type": "send", "cid": "a", "cmid": 1, "body": 1},
        {"type": "send", "cid": "a", "cmid": "m", "body": 1, "mentions": "bob"},
        {"type": "send", "cid": "a", "cmid": "m", "body": 1, "quiet": 1},
        {"type": "send", "cid": "a", "cmid": "m", "body": 1, "ref": "1"},
        {"type": "ack", "acks": {"a": "1"}},
        {"type": "ack", "acks": {"a": 1.5}},
        {"type": "ack", "acks": {"a": True}},
        {"type": "ack", "acks": {"a": None}},
        {"type": "ack", "acks": [1]},
        {"type": "read", "cid": "a"},
        {"type": "read", "cid": None, "seq": 1},
        {"type": "pull", "cid": "a", "after": "0"},
        {"type": "sync", "after": 1},
        {"type": "ping", "t": {}},
        {"type": "ping", "rid": 1.5},
    ],
)
def test_a_wrong_type_is_a_bad_request_that_names_the_frame(fields: dict[str, Any]) -> None:
    bad = refusal(json.dumps(fields))

    assert bad.error.code == "bad_request"
    assert bad.error.message.startswith(f"bad {fields['type']} frame: ")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", '"\\ud800"', '"\\udc00"', '"a\\ud800b"'])
def test_nan_and_lone_surrogates_are_refused(value: str) -> None:
    bad = refusal(f'{{"type":"ping","rid":1,"t":{value}}}')

    assert bad.error.message == "bad ping frame: NaN, Infinity and lone surrogates are not JSON"
    assert bad.rid == 1


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"ping","t":%d}',
        '{"type":"ping","rid":%d}',
        '{"type":"ack","acks":{"a":%d}}',
        '{"type":"read","cid":"a","seq":%d}',
        '{"type":"pull","cid":"a","after":%d}',
        '{"type":"pull","cid":"a","limit":%d}',
        '{"type":"hello","device":"d","max_backlog":%d}',
        '{"type":"send","cid":"a","cmid":"m","body":1,"ref":%d}',
    ],
)
def test_integers_end_where_javascript_and_lua_stop_being_exact(text: str) -> None:
    client_frames.parse(text % EXACT_MAX)
    client_frames.parse(text % -EXACT_MAX)
    for too_large in (EXACT_MAX + 1, -EXACT_MAX - 1, 10**40):
        assert refusal(text % too_large).error.code == "bad_request"


@pytest.mark.parametrize("rid", ['"\\ud800"', "1" * 40, "1" * 5000, "1e400", "NaN", "true", "[1]", "{}", "null"])
def test_the_answer_to_a_refused_frame_can_always_be_written(rid: str) -> None:
    """An rid is echoed; one that cannot be encoded again must not cost the answer."""
    bad = refusal(f'{{"type":"nope","rid":{rid},"cid":"\\udc00","cmid":[1]}}')

    answer = json.loads(frames.error(bad.error, rid=bad.rid, cid=bad.cid, cmid=bad.cmid))

    assert answer.keys() == {"type", "code", "message", "temporary"}


def test_a_token_is_in_no_refusal() -> None:
    for text in ('{"type":"auth","token":"secret","rid":1.5}', '{"type":"hello","token":"secret"}'):
        assert "secret" not in refusal(text).error.message
