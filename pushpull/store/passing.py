"""What rings on a conversation's bell and is not in its log: signals, and where members stand."""

from __future__ import annotations

import msgspec

from pushpull.model import Cid, SessionId, Uid


class SignalBell(msgspec.Struct, frozen=True, gc=False):
    """Somebody said something in passing; `epoch` and `mver` are the conversation's at that moment."""

    cid: Cid
    epoch: str
    mver: int
    sender: Uid
    session: SessionId  # whose device said it
    body: bytes  # JSON


class ReceiptBell(msgspec.Struct, frozen=True, gc=False):
    """Where some members stand; `epoch` and `mver` are the conversation's at that moment."""

    cid: Cid
    epoch: str
    mver: int
    moved: tuple[tuple[Uid, int, int], ...]  # who, delivered, read
