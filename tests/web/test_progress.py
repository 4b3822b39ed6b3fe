"""How far the other side of a real connection has come."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator

import pytest

from pushpull.web.progress import bytes_acked
from tests.web.test_direct import Open, listening

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what the other side has taken")


@pytest.fixture
def lines() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection; the far one has a small buffer."""
    with socket.socket() as listener, socket.socket() as far:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        far.connect(listener.getsockname())
        near, _ = listener.accept()
        with near:
            near.setblocking(False)
            yield near, far


def filled(line: socket.socket) -> int:
    """Write until the system takes no more; how much that was."""
    taken = 0
    while True:
        try:
            taken += line.send(b"x" * 65_536)
        except BlockingIOError:
            return taken


def comes_to(far: socket.socket, near: socket.socket, at_least: int) -> bool:
    """Read a little, until so many bytes are known to have been taken; False: not within a second."""
    give_up = time.monotonic() + 1.0
    while (bytes_acked(near) or 0) < at_least and time.monotonic() < give_up:
        far.recv(1_024)
    return (bytes_acked(near) or 0) >= at_least


@linux_only
def test_what_waits_in_the_systems_own_buffer_has_not_arrived(lines: tuple[socket.socket, socket.socket]) -> None:
    near, far = lines
    written = filled(near)
    at_first = bytes_acked(near)

    assert at_first is not None
    assert at_first < written / 2
    assert comes_to(far, near, at_first + 4_096)


def test_a_socket_of_another_kind_does_not_tell() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert bytes_acked(one) is None
    assert bytes_acked(one) is None


@linux_only
def test_one_that_reads_slowly_has_not_stalled_though_nothing_leaves_the_process(
    lines: tuple[socket.socket, socket.socket],
) -> None:
    """The system takes more only when a third of its buffer is free: megabytes, minutes of a slow reader's time."""
    near, far = lines
    filled(near)
    slow = Open()
    slow.near.close()
    slow.far.close()
    slow.near = near
    listener = listening(slow, buffer_bytes=1 << 24)
    listener.write(b"x" * 200)
    assert listener.stalled_s(0.0) == 0

    before = bytes_acked(near) or 0
    assert comes_to(far, near, before + 4_096)
    assert (slow.waiting, listener.stalled_s(40.0)) == (204, 0)
    assert listener.stalled_s(75.0) == 35
