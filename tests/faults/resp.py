"""What a bad line needs to know of Redis' protocol (RESP2): where one reply ends, and which are doorbells."""

from __future__ import annotations

from collections.abc import Callable


class Swallow:
    """Takes pub/sub messages out of a stream, on channels that `wanted` names. All else passes, byte for byte."""

    def __init__(self, wanted: Callable[[bytes], bool]) -> None:
        self._wanted = wanted
        self._rest = b""
        self.swallowed = 0

    def __call__(self, chunk: bytes) -> bytes:
        data, at, passed = self._rest + chunk, 0, []
        while (end := end_of_reply(data, at)) is not None:
            reply = data[at:end]
            if self._is_bell(reply):
                self.swallowed += 1
            else:
                passed.append(reply)
            at = end
        self._rest = data[at:]
        return b"".join(passed)

    def _is_bell(self, reply: bytes) -> bool:
        if not reply.startswith(b"*3\r\n$8\r\nsmessage\r\n"):
            return False
        return self._wanted(reply.split(b"\r\n", 5)[4])


def end_of_reply(data: bytes, at: int) -> int | None:
    """Where the reply that begins at `at` ends; None: not all of it is here."""
    line = data.find(b"\r\n", at)
    if line < 0:
        return None
    kind, end = data[at : at + 1], line + 2
    if kind == b"$":
        size = int(data[at + 1 : line])
        end += size + 2 if size >= 0 else 0
        return end if end <= len(data) else None
    if kind == b"*":
        for _ in range(int(data[at + 1 : line])):
            inner = end_of_reply(data, end)
            if inner is None:
                return None
            end = inner
    return end
