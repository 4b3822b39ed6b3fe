"""permessage-deflate by itself: what is agreed, what is compressed for whom, what comes in. (On sockets: e2e.)"""

from __future__ import annotations

import os
import zlib
from types import SimpleNamespace

import pytest

from pushpull.errors import BadRequest, TooLarge
from pushpull.web import deflate
from pushpull.web.deflate import KEPT_MAX, PLAIN_MAX, DeflatingFramer, agreed, deflated, inflated
from pushpull.web.outlet import framed

PAGE = b"".join(b'{"seq":%d,"from":"u-%d","body":"What the next one said"},' % (n, n * n) for n in range(40))
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        ((), None),
        (("",), None),
        (("x-webkit-deflate-frame",), None),
        (("permessage-deflate",), ANSWER),
        (("permessage-deflate; client_max_window_bits",), ANSWER),
        (("permessage-deflate; client_max_window_bits=10",), ANSWER),
        (("permessage-deflate;client_max_window_bits = 8",), ANSWER),
        ((ANSWER,), ANSWER),
        (("permessage-deflate; server_max_window_bits=15",), f"{ANSWER}; server_max_window_bits=15"),
        (('permessage-deflate; server_max_window_bits="15"',), f"{ANSWER}; server_max_window_bits=15"),
        (("permessage-deflate; server_max_window_bits=12",), None),
        (("permessage-deflate; server_max_window_bits=12, permessage-deflate",), ANSWER),
        (("x-other; a=1", "permessage-deflate"), ANSWER),
        # Not offers that the RFC knows: to be declined (7.1).
        (("permessage-deflate; server_max_window_bits",), None),
        (("permessage-deflate; server_max_window_bits=16",), None),
        (("permessage-deflate; client_max_window_bits=7",), None),
        (("permessage-deflate; client_max_window_bits=010",), None),
        (("permessage-deflate; client_max_window_bits=",), None),
        (("permessage-deflate; client_no_context_takeover=1",), None),
        (("permessage-deflate; client_max_window_bits; client_max_window_bits",), None),
        (("permessage-deflate; new_parameter",), None),
        (("permessage-deflate;",), None),
    ],
)
def test_an_offer_is_answered_in_the_one_form_that_can_be_shared_or_declined(
    offers: tuple[str, ...], answer: str | None
) -> None:
    assert agreed(offers) == answer


# ------------------------------------------------------------------------------------------------ out


def test_a_large_frame_is_compressed_once_when_enough_have_taken_it() -> None:
    framer = DeflatingFramer(1024)

    taken = [framer.take(PAGE) for _ in range(PLAIN_MAX + 3)]

    assert taken[:PLAIN_MAX] == [framed(PAGE)] * PLAIN_MAX
    (small,) = {id(frame): frame for frame in taken[PLAIN_MAX:]}.values()
    assert small == framed(deflated(PAGE), 0xC1)
    assert len(small) < len(PAGE) / 2
    assert inflated(small[4:], 1 << 20) == PAGE
    assert (framer.data, framer.frame) == (PAGE, small), "the next one need not ask"


def test_a_frame_that_still_goes_plain_is_asked_for_each_time() -> None:
    framer = DeflatingFramer(1024)
    framer.take(PAGE)
    assert framer.data is not PAGE


def test_frames_that_come_by_turns_are_compressed_once_each(monkeypatch: pytest.MonkeyPatch) -> None:
    framer, one, other = DeflatingFramer(1024), PAGE + b"1", PAGE + b"2"
    compressed: list[bytes] = []
    monkeypatch.setattr(deflate, "deflated", lambda data: compressed.append(data) or deflated(data))

    for _ in range(PLAIN_MAX + 5):
        last = framer.take(one), framer.take(other)

    assert compressed == [one, other]
    assert last == (framed(deflated(one), 0xC1), framed(deflated(other), 0xC1))


def test_small_frames_stay_plain() -> None:
    framer = DeflatingFramer(len(PAGE) + 1)
    assert {framer.take(PAGE) for _ in range(PLAIN_MAX * 2)} == {framed(PAGE)}


def test_what_does_not_get_smaller_stays_plain() -> None:
    framer, noise = DeflatingFramer(1024), os.urandom(2048)
    assert {framer.take(noise) for _ in range(PLAIN_MAX * 2)} == {framed(noise)}


def test_only_so_many_frames_are_remembered() -> None:
    framer = DeflatingFramer(1024)
    pages = [PAGE + bytes([n]) for n in range(3 * KEPT_MAX)]

    for page in pages:
        framer.take(page)

    assert len(framer._shared) == KEPT_MAX
    assert [shared.data for shared in framer._shared.values()] == pages[-KEPT_MAX:]


# ------------------------------------------------------------------------------------------------ in


@pytest.mark.parametrize(
    "payload",
    [
        "f2 48 cd c9 c9 07 00",  # one block
        "00 05 00 fa ff 48 65 6c 6c 6f 00",  # not compressed
        "f3 48 cd c9 c9 07 00 00",  # BFINAL set
        "f2 48 05 00 00 00 ff ff ca c9 c9 07 00",  # two blocks
    ],
)
def test_the_examples_of_the_rfc_are_inflated(payload: str) -> None:
    assert inflated(bytes.fromhex(payload), 5) == b"Hello"


@pytest.mark.parametrize("bits", range(9, 16))
def test_any_window_of_the_sender_can_be_read(bits: int) -> None:
    compressor = zlib.compressobj(6, zlib.DEFLATED, -bits)
    payload = compressor.compress(PAGE * 20) + compressor.flush(zlib.Z_SYNC_FLUSH)
    assert inflated(payload[:-4], len(PAGE) * 20) == PAGE * 20


def test_a_message_of_just_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    payload = deflated(PAGE)
    assert inflated(payload, len(PAGE)) == PAGE
    with pytest.raises(TooLarge):
        inflated(payload, len(PAGE) - 1)


def test_a_bomb_is_inflated_no_further_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Inflater:
        def __init__(self, bits: int) -> None:
            self._real = zlib.decompressobj(bits)

        def decompress(self, data: bytes, most: int) -> bytes:
            made = self._real.decompress(data, most)
            sizes.append(len(made))
            return made

    bomb = deflated(bytes(50_000_000))
    assert len(bomb) < 300_000
    monkeypatch.setattr(deflate, "zlib", SimpleNamespace(decompressobj=Inflater, error=zlib.error))

    with pytest.raises(TooLarge):
        inflated(bomb, 1000)

    assert sizes == [1001]


@pytest.mark.parametrize(
    "payload",
    [
        b"\xff\xff\xff\xff",
        b'{"type":"ping"}',
        b"\x03\x00" * 100_000,  # one final block behind another: would be taken apart for ever
        bytes.fromhex("f3 48 cd c9 c9 07 00") + b"more",
    ],
)
def test_what_is_not_deflate_is_refused(payload: bytes) -> None:
    with pytest.raises(BadRequest):
        inflated(payload, 1 << 20)
