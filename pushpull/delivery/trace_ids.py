"""The ids by which every node knows the trace of a message, and whether it is kept, without a word between them.

A trace's id is a digest of the conversation and the message's log id, and the id of its first span another. So whoever
knows a message can find its trace, who sees a trace learns nothing of the message, and the wire needs no field for it.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from pushpull.model import Cid, LogId

_SPACE: Final = 1 << 64


def trace_id(cid: Cid, log_id: LogId) -> int:
    """128 bits: BLAKE2b of `<cid> <log id>`, 16 bytes long, the most significant first."""
    return int.from_bytes(blake2b(f"{cid} {log_id}".encode(), digest_size=16).digest(), "big")


def root_id(trace: int) -> int:
    """64 bits: the span all others of the trace are in, which is that of the node the message was sent to."""
    return int.from_bytes(blake2b(trace.to_bytes(16, "big"), digest_size=8).digest(), "big")


class Sample:
    """Keeps `share` (0 to 1) of the traces, the same on every node: by the lower half of the id, as OpenTelemetry."""

    def __init__(self, share: float) -> None:
        self._below = round(share * _SPACE)

    def keeps(self, trace: int) -> bool:
        return trace % _SPACE < self._below
