"""A device of the load: it finds its frames in whatever chunks they come, and keeps the contract's rule."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
import pytest

from pushpull.bench import device as device_module
from pushpull.bench import wire
from pushpull.bench.crowd import Crowd
from pushpull.bench.device import Device
from pushpull.bench.spread import now_ticks

CID = b"team"


class Transport:
    """Keeps what a device writes."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def abort(self) -> None:
        pass

    def get_extra_info(self, name: str) -> Transport:
        return self

    def setsockopt(self, *option: Any) -> None:
        pass

    def said(self) -> list[Any]:
        """The frames since the last call, unmasked."""
        frames = []
        for data in self.written:
            start, size = wire.payload_at(bytes((data[0], data[1] & 0x7F)) + data[2:], 0) or (0, 0)
            frames.append(orjson.loads(data[start + 4 : start + 4 + size]))
        self.written.clear()
        return frames


def opened(crowd: Crowd, *, at: int = 0) -> tuple[Device, Transport]:
    device, transport = Device(crowd, "ann", "a token"), Transport()
    device.connection_made(transport)  # type: ignore[arg-type]
    device.data_received(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    transport.said()
    device.at[CID] = (at, f"{at}-1")
    return device, transport


def page(after: int, upto: int, *, head: int | None = None, size: int = 40, stamp: int = 0) -> bytes:
    """A `messages` frame as it comes."""
    items = b",".join(
        b'{"id":"%d-1","seq":%d,"ts":1,"from":"bob","cmid":"%d","kind":"message","body":%b}'
        % (seq, seq, seq, wire.body(stamp or now_ticks(), size))
        for seq in range(after + 1, upto + 1)
    )
    return wire.unmasked(
        b'{"type":"messages","cid":"%b","after":%d,"upto":%d,"upto_id":"%d-1","items":[%b],"head":%d,"floor":1}'
        % (CID, after, upto, upto, items, upto if head is None else head)
    )


def notice(head: int) -> bytes:
    return wire.unmasked(b'{"type":"notice","cid":"team","head":%d,"count":%d}' % (head, head))


@pytest.fixture
def crowd() -> Crowd:
    return Crowd()


def test_it_says_hello_once_the_upgrade_is_answered(crowd: Crowd) -> None:
    device, transport = Device(crowd, "ann", "a token"), Transport()
    device.connection_made(transport)  # type: ignore[arg-type]
    device.data_received(b"HTTP/1.1 101 Switching")
    assert transport.written == [b""] or transport.written == []

    device.data_received(b" Protocols\r\n\r\n")

    (hello,) = transport.said()
    assert hello == {"type": "hello", "token": "a token", "device": "ann", "unnamed": "head"}


def test_it_comes_back_with_its_positions(crowd: Crowd) -> None:
    device, _ = opened(crowd, at=7)
    again = Transport()
    device._reset()
    device.connection_made(again)  # type: ignore[arg-type]
    device.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")

    assert again.said()[0]["positions"] == {"team": "7-1"}


def test_an_upgrade_that_is_refused_is_told(crowd: Crowd) -> None:
    device = Device(crowd, "ann", "a token")
    device.connection_made(Transport())  # type: ignore[arg-type]
    device.data_received(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")

    assert crowd.errors == {"upgrade answered with HTTP/1.1 503": 1}


@pytest.mark.parametrize(
    ("size", "chunk"),
    [(40, 1), (40, 3), (40, 100), (40, 10_000), (300, 1), (300, 511), (300, 10_000), (70_000, 512), (70_000, 65_536)],
)
def test_frames_are_found_in_chunks_of_any_size(crowd: Crowd, chunk: int, size: int) -> None:
    """Twice by two devices: the second meets frames that were seen before, and passes over large ones."""
    stream = b"".join(page(seq, seq + 2, size=size, stamp=1) for seq in (0, 2, 4))
    for number in (1, 2):
        device, _ = opened(crowd)
        for first in range(0, len(stream), chunk):
            device.data_received(stream[first : first + chunk])
        assert device.at[CID] == (6, "6-1")
        assert (crowd.items, crowd.frames, crowd.gaps, crowd.repeated) == (6 * number, 3 * number, 0, 0)
    crowd.fold()
    assert crowd.delivery.ticks.total() == crowd.items


def test_the_same_chunk_again_counts_for_each_device(crowd: Crowd) -> None:
    frame = page(0, 1)
    for _ in range(3):
        device, _ = opened(crowd)
        device.data_received(frame)
        assert device.at[CID] == (1, "1-1")

    assert crowd.items == crowd.acked == crowd.delivery.ticks.total() == 3


def test_a_repeated_message_is_counted_and_changes_nothing(crowd: Crowd) -> None:
    device, transport = opened(crowd)
    device.data_received(page(0, 2))
    device.data_received(page(0, 2))

    assert (crowd.items, crowd.repeated) == (2, 2)
    assert [frame["acks"] for frame in transport.said()] == [{"team": 2}, {"team": 2}]


def test_of_a_frame_that_overlaps_only_what_is_new_counts(crowd: Crowd) -> None:
    device, _ = opened(crowd, at=1)
    device.data_received(page(0, 3))

    assert (crowd.items, crowd.repeated) == (2, 1)
    assert device.at[CID] == (3, "3-1")


def test_a_gap_is_pulled_and_the_frame_dropped(crowd: Crowd) -> None:
    device, transport = opened(crowd, at=2)
    device.data_received(page(5, 6))

    assert (crowd.items, crowd.gaps) == (0, 1)
    assert transport.said() == [{"type": "pull", "cid": "team", "after": 2, "limit": 500}]


def test_a_notice_is_answered_with_one_pull_at_a_time(crowd: Crowd) -> None:
    device, transport = opened(crowd)
    crowd.acks = "never"
    device.data_received(notice(3))
    device.data_received(notice(5))
    assert transport.said() == [{"type": "pull", "cid": "team", "after": 0, "limit": 500}]

    device.data_received(page(0, 3))
    assert transport.said() == [{"type": "pull", "cid": "team", "after": 3, "limit": 500}]

    device.data_received(page(3, 5))
    assert transport.said() == []
    assert (crowd.items, crowd.notices, crowd.pulled) == (5, 2, 2)


def test_who_does_not_pull_leaves_notices_alone(crowd: Crowd) -> None:
    crowd.pulls = False
    device, transport = opened(crowd)
    device.data_received(notice(3))

    assert transport.said() == []


def test_a_page_below_the_head_is_followed_by_the_next(crowd: Crowd) -> None:
    crowd.acks = "never"
    device, transport = opened(crowd)
    device.data_received(page(0, 3, head=9))

    assert transport.said() == [{"type": "pull", "cid": "team", "after": 3, "limit": 500}]


def test_an_answer_is_timed_by_the_stamp_in_its_cmid(crowd: Crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[int] = []
    crowd.on_sent = answered.append
    monkeypatch.setattr(device_module, "now_ticks", lambda: 1_250)
    device, _ = opened(crowd)
    device.data_received(wire.unmasked(b'{"type":"sent","cid":"team","cmid":"1200-17","id":"4-1","dup":false}'))

    assert (answered, crowd.sent) == ([17], 1)
    assert crowd.answer.ticks == {50: 1}


def test_a_ping_is_answered(crowd: Crowd) -> None:
    device, transport = opened(crowd)
    device.data_received(wire.unmasked(b'{"type":"ping"}'))

    assert transport.said() == [{"type": "pong"}]


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (wire.unmasked(b'{"type":"error","code":"rate_limited","message":"slower"}'), "error rate_limited"),
        (wire.unmasked(b'{"type":"reset","cid":"team"}'), "frame that begins with b'rese'"),
        (b"\x88\x0c" + (4408).to_bytes(2, "big") + b"no answer!", "closed with 4408 no answer!"),
    ],
)
def test_what_should_not_happen_is_told(crowd: Crowd, frame: bytes, told: str) -> None:
    device, _ = opened(crowd)
    device.data_received(frame)

    assert crowd.errors == {told: 1}


def test_it_is_live_after_the_last_page_of_the_list(crowd: Crowd) -> None:
    device, transport = opened(crowd)
    row = {"cid": "other", "start": "4-1"}
    device.data_received(wire.unmasked(orjson.dumps({"type": "sync", "conversations": [row], "next": "other"})))
    assert (crowd.live, transport.said()) == (0, [{"type": "sync", "after": "other"}])

    device.data_received(wire.unmasked(orjson.dumps({"type": "sync", "conversations": [], "next": None})))
    assert crowd.live == 1
    assert device.at == {CID: (0, "0-1"), b"other": (4, "4-1")}


def test_a_body_is_as_long_as_asked_for() -> None:
    for size in (40, 200, 1_000):
        assert len(wire.body(now_ticks(), size)) == size
        assert isinstance(orjson.loads(wire.body(7, size)), str)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_the_size_of_a_frame_is_read_as_it_was_written(size: int) -> None:
    frame = wire.unmasked(b"x" * size)
    start, read = wire.payload_at(frame, 0) or (0, -1)

    assert (read, len(frame) - start) == (size, size)
    assert all(wire.payload_at(frame[:cut], 0) is None for cut in range(start if size > 125 else 2))


def test_the_floor_sends_what_the_service_would() -> None:
    frame = wire.messages_frame(CID, 3, stamp=12, size=200)
    start, size = wire.payload_at(frame, 0) or (0, 0)
    sent = orjson.loads(frame[start : start + size])

    assert (sent["type"], sent["cid"], sent["after"], sent["upto"]) == ("messages", "team", 2, 3)
    assert len(orjson.dumps(sent["items"][0]["body"])) == 200
    assert wire.STAMP.findall(frame) == [b"12"]


def test_a_compressed_page_is_read_as_a_plain_one(crowd: Crowd) -> None:
    crowd.deflates = True
    compressor = zlib.compressobj(1, zlib.DEFLATED, -15)
    start, _ = wire.payload_at(page(0, 40), 0) or (0, 0)
    payload = (compressor.compress(page(0, 40)[start:]) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    frame = bytes([wire.DEFLATED]) + wire.unmasked(payload)[1:]
    whole, _ = opened(crowd)
    pieces, _ = opened(crowd)

    whole.data_received(frame)
    for first in range(0, len(frame), 100):
        pieces.data_received(frame[first : first + 100])

    assert whole.at[CID] == pieces.at[CID] == (40, "40-1")
    assert crowd.received_bytes >= 2 * len(frame)
    assert len(frame) < len(page(0, 40)) / 2


@pytest.mark.parametrize("deflate", [True, False])
def test_compression_is_asked_for_only_where_it_is_wanted(deflate: bool) -> None:
    request = wire.upgrade("127.0.0.1", 80, deflate=deflate)
    assert (b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" in request) is deflate
    assert request.endswith(b"\r\n\r\n")
    assert request.count(b"\r\n\r\n") == 1


def test_a_device_that_looks_elsewhere_says_so_and_comes_for_nothing(crowd: Crowd) -> None:
    device, transport = Device(crowd, "ann", "a token"), Transport()
    device.looks_at = None
    device.connection_made(transport)  # type: ignore[arg-type]
    device.data_received(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
    assert transport.said()[0]["focus"] is None

    device.at[CID] = (1, "1-1")
    device.data_received(notice(5))

    assert (transport.said(), crowd.notices) == ([], 1)


def test_only_what_is_looked_at_is_timed(crowd: Crowd) -> None:
    looking, _ = opened(crowd)
    away, _ = opened(crowd)
    looking.looks_at, away.looks_at = "team", None

    for device in (looking, away):
        device.data_received(page(0, 1))

    assert (crowd.items, crowd.delivery.ticks.total()) == (2, 1)
