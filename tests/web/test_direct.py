"""A connection of the direct path by itself: what it counts and keeps. (On real sockets: tests/e2e/test_direct.)"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pushpull.settings import Limits, Settings
from pushpull.web.direct import Listener


class Socket:
    """A transport whose far end reads when a test says so."""

    def __init__(self) -> None:
        self.waiting = 0
        self.cut = False
        self.underlying_transport = self

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def send(self, kind: object, data: bytes) -> None:
        self.waiting += len(data) + 4

    def disconnect(self, graceful: bool) -> None:
        self.cut = True


@pytest.fixture
def socket() -> Socket:
    return Socket()


@pytest.fixture
def listener(socket: Socket) -> Listener:
    node = SimpleNamespace(settings=Settings(limits=Limits(buffer_bytes=1024)), connect=lambda *_, **__: object())
    gate: Any = SimpleNamespace(node=node, token=lambda headers, query: None, authenticate=None)
    request: Any = SimpleNamespace(headers={}, path=b"/v1/ws")
    listener = Listener(gate, request, lambda: None)
    transport: Any = socket
    listener.on_ws_connected(transport)
    return listener


def test_a_connection_that_takes_less_than_it_is_given_is_slow_and_not_stalled(
    listener: Listener, socket: Socket
) -> None:
    for second in range(10):
        listener.write(b"x" * 200)
        socket.waiting -= 50
        assert listener.stalled_s(float(second)) == 0


def test_a_stall_is_timed_from_when_the_last_bytes_left_whatever_is_written_meanwhile(
    listener: Listener, socket: Socket
) -> None:
    listener.write(b"x" * 200)
    assert listener.stalled_s(10.0) == 0
    listener.write(b"x" * 20)
    assert listener.stalled_s(15.0) == 5
    socket.waiting -= 100
    assert listener.stalled_s(16.0) == 0
    assert listener.stalled_s(18.0) == 2
    socket.waiting = 0
    assert listener.stalled_s(19.0) == 0


def test_one_that_reads_nothing_while_answers_pile_up_is_cut_off(listener: Listener, socket: Socket) -> None:
    for _ in range(50):
        listener.write(b"x" * 200)

    assert socket.cut
    assert socket.waiting <= 4 * 1024 + 204
