"""The text that bodies are made of."""

from __future__ import annotations

import zlib

import orjson
import pytest

from pushpull.bench import prose, wire
from pushpull.bench.prose import TEXT_BYTES, Prose


@pytest.mark.parametrize("size", [0, 1, 200, TEXT_BYTES, 2 * TEXT_BYTES + 7])
def test_it_is_as_long_as_asked_for_and_goes_on_where_it_was(size: int) -> None:
    text, again = Prose(), Prose()
    assert len(text.take(size)) == size
    assert text.take(20) == (again.take(size), again.take(20))[1]


def test_it_is_what_json_takes_as_it_is() -> None:
    text = prose._text()
    assert orjson.dumps(text.decode()) == b'"%b"' % text


def test_it_compresses_as_text_does_and_not_as_a_row_of_x() -> None:
    bodies = b"".join(wire.body(1, 200) for _ in range(50))
    assert 1.5 < len(bodies) / len(zlib.compress(bodies, 1)) < 3
