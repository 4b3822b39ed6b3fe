"""How far the other side of a connection has come, which the system knows and the transport does not."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final, Protocol

BYTES_ACKED: Final = 120
"""Where in Linux' struct tcp_info (linux/tcp.h) tcpi_bytes_acked is, 64 bits in the machine's order; since 4.1."""
SIZE: Final = BYTES_ACKED + 8


class Answers(Protocol):
    """A socket, as far as it is asked here."""

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes: ...


def bytes_acked(line: Answers) -> int | None:
    """Bytes that the other side's system has taken so far. None where this system does not tell: only Linux does, and
    of TCP."""
    if sys.platform != "linux":
        return None
    try:
        info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, SIZE)
    except (OSError, AttributeError):  # closed meanwhile, or a socket of another kind
        return None
    return int(struct.unpack_from("=Q", info, BYTES_ACKED)[0]) if len(info) == SIZE else None
