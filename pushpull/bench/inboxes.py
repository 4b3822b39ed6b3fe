"""The classic design, for comparison: every message is written into the inbox of every member."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from pushpull.bench.failure import BenchFailed

PIPELINE: Final = 1_000
ANSWER_S: Final = 60.0
CHUNK: Final = 1 << 20


def write(socket_path: Path, members: int, messages: int, body_bytes: int) -> None:
    """Write so many messages into the inboxes of so many members, a pipeline at a time. Raises BenchFailed."""
    fields = [b"*", b"from", b"u-0", b"cmid", b"0123456789abcdef", b"kind", b"message", b"body", b"x" * body_bytes]
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as redis:
        redis.settimeout(ANSWER_S)
        redis.connect(str(socket_path))
        for _ in range(messages):
            for first in range(0, members, PIPELINE):
                some = range(first, min(first + PIPELINE, members))
                redis.sendall(b"".join(_command(b"XADD", b"inbox:%d:%d" % (members, user), *fields) for user in some))
                _await_answers(redis, len(some))


def _command(*words: bytes) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


def _await_answers(redis: socket.socket, count: int) -> None:
    """Each is a bulk string: two lines."""
    lines = 0
    while lines < 2 * count:
        data = redis.recv(CHUNK)
        if not data or data[:1] == b"-":
            raise BenchFailed(f"redis did not take the inboxes: {data[:80].decode(errors='replace')}")
        lines += data.count(b"\r\n")
