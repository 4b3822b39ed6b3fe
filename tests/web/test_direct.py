"""A connection of the direct path by itself: what it counts and keeps. (On real sockets: tests/e2e/test_direct.)"""

from __future__ import annotations

import asyncio
import contextlib
import socket as stdlib_socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from pushpull.settings import Limits, Settings
from pushpull.web.deflate import PLAIN_MAX, DeflatingFramer
from pushpull.web.direct import Listener
from pushpull.web.outlet import Framer, framed


class Socket:
    """A transport whose far end reads when a test says so. What it writes goes nowhere and waits."""

    def __init__(self) -> None:
        self.waiting = 0
        self.cut = False
        self.calls: list[bytes | memoryview] = []  # what each write was given
        self.underlying_transport = self
        self.listener: Listener | None = None
        self.request = SimpleNamespace(headers={"authorization": "Bearer of.a.token"})
        self.response = SimpleNamespace(headers={})

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def set_write_buffer_limits(self, high: int) -> None:
        assert high == 0

    def get_extra_info(self, name: str) -> Any:
        """A secured connection: everything goes through the transport."""
        return object()

    def send(self, kind: object, data: bytes) -> None:
        self.write(bytes(4) + data)

    def write(self, data: bytes | memoryview) -> None:
        self.calls.append(data)
        paused, self.waiting = self.waiting > 0, self.waiting + len(data)
        if not paused and self.listener is not None:
            self.listener.pause_writing()

    def leaves(self, size: int) -> None:
        self.waiting -= size
        if not self.waiting and self.listener is not None:
            self.listener.resume_writing()

    def send_close(self, code: int, reason: bytes) -> None:
        self.calls.append(b"close")

    def disconnect(self, graceful: bool) -> None:
        self.cut = True


class Open(Socket):
    """One that is not secured and has a real socket, so that frames may go past the transport."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = stdlib_socket.socketpair()
        self.near.setblocking(False)
        self.far.setblocking(False)

    def get_extra_info(self, name: str) -> Any:
        return self.near if name == "socket" else None


def listening(socket: Socket, *, buffer_bytes: int = 1024, framer: Framer | None = None) -> Listener:
    node = SimpleNamespace(
        settings=Settings(limits=Limits(buffer_bytes=buffer_bytes)),
        connect=lambda *_, **__: SimpleNamespace(lost=lambda: None),
    )
    gate: Any = SimpleNamespace(node=node, token=lambda headers, query: None, authenticate=None)
    request: Any = SimpleNamespace(headers={}, path=b"/v1/ws")
    listener = Listener(gate, framer or Framer(), request, lambda: None)
    transport: Any = socket
    socket.listener = listener
    listener.on_ws_connected(transport)
    return listener


@pytest.fixture
def socket() -> Socket:
    return Socket()


@pytest.fixture
def listener(socket: Socket) -> Listener:
    return listening(socket)


@pytest.fixture
def opened() -> Iterator[tuple[Listener, Open]]:
    socket = Open()
    with socket.near, socket.far:
        yield listening(socket, buffer_bytes=1 << 24), socket


def test_the_headers_of_the_upgrade_are_not_kept(listener: Listener, socket: Socket) -> None:
    assert socket.request.headers == {}


def test_a_connection_that_takes_less_than_it_is_given_is_slow_and_not_stalled(
    listener: Listener, socket: Socket
) -> None:
    for second in range(10):
        listener.write(b"x" * 200)
        socket.leaves(50)
        assert listener.stalled_s(float(second)) == 0


def test_a_stall_is_timed_from_when_the_last_bytes_left_whatever_is_written_meanwhile(
    listener: Listener, socket: Socket
) -> None:
    listener.write(b"x" * 200)
    assert listener.stalled_s(10.0) == 0
    listener.write(b"x" * 20)
    assert listener.stalled_s(15.0) == 5
    socket.leaves(100)
    assert listener.stalled_s(16.0) == 0
    assert listener.stalled_s(18.0) == 2
    socket.leaves(socket.waiting)
    assert listener.stalled_s(19.0) == 0


def test_one_that_reads_nothing_while_answers_pile_up_is_cut_off(listener: Listener, socket: Socket) -> None:
    for _ in range(50):
        listener.write(b"x" * 200)

    assert socket.cut
    assert socket.waiting <= 4 * 1024 + 204


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_536, b"\x81\x7f" + bytes([0, 0, 0, 0, 0, 1, 0, 0])),
    ],
)
def test_a_frame_has_the_shortest_header_that_holds_its_size(size: int, header: bytes) -> None:
    assert framed(b"x" * size) == header + b"x" * size


def test_an_offered_frame_goes_to_the_socket_past_the_transport(opened: tuple[Listener, Open]) -> None:
    listener, socket = opened

    assert listener.offer(b"hello", 0)
    assert listener.offer(b"again", 0)

    assert socket.far.recv(100) == b"\x81\x05hello\x81\x05again"
    assert (socket.waiting, listener.buffered, listener.spoke) == (0, 0, True)


def test_what_the_socket_does_not_take_goes_to_the_transport_and_what_follows_stays_behind_it(
    opened: tuple[Listener, Open],
) -> None:
    listener, socket = opened
    sent = b"x" * 10_000_000

    assert listener.offer(sent, 0)
    taken = len(framed(sent)) - socket.waiting
    assert 0 < taken < len(sent)
    assert not listener.offer(b"more than may wait", socket.waiting - 1)
    assert listener.offer(b"later", socket.waiting)

    received = b""
    while len(received) < taken:
        received += socket.far.recv(1 << 20)
    assert received == framed(sent)[:taken]
    with pytest.raises(BlockingIOError):
        socket.far.recv(1)
    socket.leaves(socket.waiting)
    assert listener.offer(b"now", 0)
    assert socket.far.recv(100) == b"\x81\x03now"


def test_what_the_socket_does_not_take_of_a_shared_frame_is_not_copied(opened: tuple[Listener, Open]) -> None:
    """A thousand slow readers wait for the rest of one frame, not each for its own."""
    listener, socket = opened
    listener.offer(b"x" * 10_000_000, 0)

    (rest,) = socket.calls
    assert isinstance(rest, memoryview)
    assert rest.obj is listener._framer.frame


@pytest.fixture
def crowd() -> Iterator[list[tuple[Listener, Open]]]:
    framer, sockets = Framer(), [Open() for _ in range(5)]
    yield [(listening(socket, framer=framer, buffer_bytes=1 << 24), socket) for socket in sockets]
    for socket in sockets:
        socket.near.close()
        socket.far.close()


def offer_all(crowd: list[tuple[Listener, Open]], data: bytes, most: int) -> list[bool]:
    return Listener.offer_all([listener for listener, _ in crowd], data, most)


def test_a_frame_offered_to_all_goes_to_each_socket_past_its_transport(crowd: list[tuple[Listener, Open]]) -> None:
    assert offer_all(crowd, b"hello", 0) == [True] * 5
    assert offer_all(crowd, b"again", 0) == [True] * 5

    assert [socket.far.recv(100) for _, socket in crowd] == [b"\x81\x05hello\x81\x05again"] * 5
    assert all(listener.spoke and listener.buffered == 0 for listener, _ in crowd)


def test_among_all_that_are_offered_a_frame_a_full_socket_holds_up_no_other(crowd: list[tuple[Listener, Open]]) -> None:
    sent, full = b"x" * 10_000_000, crowd[2][1]
    with contextlib.suppress(BlockingIOError):
        while True:
            full.near.send(b"x" * 65_536)

    assert offer_all(crowd, sent, 0) == [True] * 5
    assert full.waiting == len(framed(sent)), "it took nothing: all of it goes to the transport"
    assert all(0 < socket.waiting < len(sent) for _, socket in crowd if socket is not full)
    rests = [rest for _, socket in crowd for rest in socket.calls if isinstance(rest, memoryview)]
    assert [rest.obj is crowd[0][0]._framer.frame for rest in rests] == [True] * 5, "and it is not copied"


def test_whoever_has_too_much_waiting_takes_no_frame_and_all_others_do(crowd: list[tuple[Listener, Open]]) -> None:
    slow, taker = crowd[1], crowd[3]
    slow[1].write(b"x" * 100)
    taker[1].write(b"x" * 50)

    assert offer_all(crowd, b"hello", 99) == [True, False, True, True, True]

    assert (slow[1].waiting, taker[1].waiting) == (100, 50 + len(framed(b"hello")))
    assert [socket.far.recv(100) for _, socket in (crowd[0], crowd[2], crowd[4])] == [framed(b"hello")] * 3


def test_of_all_that_are_offered_a_frame_some_may_inflate_and_others_not(crowd: list[tuple[Listener, Open]]) -> None:
    deflating, page = DeflatingFramer(1024), b"All of it has been said before. " * 100
    for listener, _ in crowd[1:]:
        listener._framer = deflating
    deflating.take(page)
    for _ in range(PLAIN_MAX):
        deflating.take(page)

    assert offer_all(crowd, page, 0) == offer_all(crowd[::-1], page, 0) == [True] * 5

    assert len(deflating.frame) < len(page) // 2
    received = [socket.far.recv(1 << 20) for _, socket in crowd]
    assert received == [framed(page) * 2] + [deflating.frame * 2] * 4


def test_nobody_of_all_that_are_offered_a_frame_is_written_to_where_its_descriptor_may_be_anothers(
    crowd: list[tuple[Listener, Open]],
) -> None:
    gone, transport = crowd[4]
    given: Any = transport
    gone.on_ws_disconnected(given)

    assert offer_all(crowd, b"hello", 0) == [True] * 5

    assert crowd[0][1].far.recv(100) == framed(b"hello")
    with pytest.raises(BlockingIOError):
        transport.far.recv(1)


@pytest.mark.parametrize("kind", [Socket, Open])
def test_whoever_can_inflate_is_given_less_also_where_it_goes_through_the_transport(kind: type[Socket]) -> None:
    framer, page = DeflatingFramer(1024), b"All of it has been said before. " * 100
    sockets = [kind() for _ in range(PLAIN_MAX + 1)]
    for socket in sockets:
        listening(socket, framer=framer).share(page)

    if isinstance(sockets[-1], Open):
        assert sockets[-1].far.recv(1 << 20) == framer.frame
    else:
        assert [socket.waiting for socket in sockets] == [len(framed(page))] * PLAIN_MAX + [len(framer.frame)]
    for socket in sockets:
        if isinstance(socket, Open):
            socket.near.close()
            socket.far.close()


def test_shared_answers_that_nobody_reads_are_bounded_as_any_others(listener: Listener, socket: Socket) -> None:
    answer = b"x" * 200
    for _ in range(50):
        listener.share(answer)

    assert socket.cut
    assert socket.waiting <= 4 * 1024 + len(framed(answer))


def test_nothing_goes_to_a_descriptor_that_may_be_anothers(opened: tuple[Listener, Open]) -> None:
    listener, socket = opened
    transport: Any = socket
    listener.on_ws_disconnected(transport)

    listener.offer(b"hello", 0)

    with pytest.raises(BlockingIOError):
        socket.far.recv(1)


async def test_what_is_written_soon_goes_out_together_when_the_turn_of_the_loop_ends(
    listener: Listener, socket: Socket
) -> None:
    listener.write_soon(b"one")
    listener.write_soon(b"x" * 200)
    assert (socket.calls, listener.spoke) == ([], False)
    await asyncio.sleep(0)

    assert (socket.calls, listener.spoke) == ([framed(b"one") + framed(b"x" * 200)], True)
    await asyncio.sleep(0)
    assert len(socket.calls) == 1


async def test_what_is_written_after_takes_along_what_was_to_be_written_soon(
    opened: tuple[Listener, Open],
) -> None:
    listener, socket = opened
    listener.write_soon(b"one")
    listener.write(b"two")
    assert socket.calls == [framed(b"one") + framed(b"two")]
    socket.leaves(socket.waiting)

    listener.write_soon(b"three")
    assert listener.offer(b"four", 0)
    assert socket.calls[1:] == [framed(b"three") + framed(b"four")]
    socket.leaves(socket.waiting)

    listener.write_soon(b"five")
    listener.close(4408, "")
    await asyncio.sleep(0)
    assert socket.calls[2:] == [framed(b"five"), b"close"]


async def test_a_compressed_page_takes_along_what_was_to_be_written_soon(opened: tuple[Listener, Open]) -> None:
    listener, socket = opened
    framer, page = DeflatingFramer(1024), b"All of it has been said before. " * 100
    listener._framer = framer
    for _ in range(PLAIN_MAX):
        framer.take(page)

    listener.write_soon(b"one")
    listener.share(page)

    assert socket.calls == [framed(b"one") + framer.frame]
    assert framer.data is page


async def test_nothing_overtakes_what_is_to_be_written_soon_when_the_transport_is_free_again(
    opened: tuple[Listener, Open],
) -> None:
    listener, socket = opened
    listener.write_soon(b"one")
    listener.write(b"two")
    listener.write_soon(b"three")
    socket.leaves(socket.waiting)

    assert listener.offer(b"four", 0)

    assert socket.calls == [framed(b"one") + framed(b"two"), framed(b"three") + framed(b"four")]
    socket.leaves(socket.waiting)
    await asyncio.sleep(0)
    assert listener.offer(b"past the transport", 0)
    assert socket.far.recv(100) == framed(b"past the transport")


async def test_nothing_that_was_to_be_written_soon_goes_out_after_the_end(listener: Listener, socket: Socket) -> None:
    listener.write_soon(b"one")
    listener.abort()
    listener.write_soon(b"two")
    await asyncio.sleep(0)

    assert (socket.calls, socket.cut) == ([], True)


async def test_one_that_reads_nothing_is_cut_off_by_what_is_written_soon_too(
    listener: Listener, socket: Socket
) -> None:
    for _ in range(50):
        listener.write_soon(b"x" * 200)
        listener.write_soon(b"x" * 200)
        await asyncio.sleep(0)

    assert socket.cut
    assert socket.waiting <= 4 * 1024 + 408
