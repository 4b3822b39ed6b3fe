import math

import msgspec
import pytest

from pushpull.client import frames
from pushpull.errors import BadRequest, Invalid, TooLarge


def test_an_unknown_type_is_passed_over():
    assert frames.parse('{"type":"telepathy","cid":1}') is None


def test_unknown_fields_kinds_and_reasons_are_passed_over():
    frame = frames.parse('{"type":"reset","cid":"c","reason":"moonlight","pos":"1-1","shiny":true}')
    assert isinstance(frame, frames.Reset)
    assert frame.reason == "moonlight"


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"cid":"c"}', '{"type":"notice","cid":"c"}', '{"type":7}'])
def test_what_is_no_frame_is_refused(text: str):
    with pytest.raises(BadRequest, match="not a frame"):
        frames.parse(text)


def test_an_item_without_a_sender_is_the_service_s_own():
    text = '{"id":"1-1","seq":1,"ts":5,"cmid":"m","kind":"sys.joined","body":{"a":[1]}}'
    item = msgspec.json.decode(text, type=frames.Item)
    assert item.sender is None
    assert item.body == {"a": [1]}


@pytest.mark.parametrize("body", [math.nan, [math.inf], "\ud800", {1, 2}, {"a": object()}])
def test_a_body_that_json_cannot_hold_is_refused_before_it_is_sent(body: object):
    with pytest.raises(Invalid, match="the body is not JSON"):
        frames.encode_body(body)


def test_a_body_goes_out_as_it_is():
    frame = {"type": "send", "body": frames.encode_body({"text": "Grüße", "n": [1, None, 2.5]})}
    assert frames.encode(frame) == '{"type":"send","body":{"text":"Grüße","n":[1,null,2.5]}}'


def test_a_body_past_the_limit_is_refused_with_both_sizes():
    with pytest.raises(TooLarge, match="the body has 12 bytes, expected at most 11"):
        frames.encode_body("x" * 10, limit_bytes=11)
