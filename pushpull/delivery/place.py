"""Where one device stands in one conversation, and how it gets it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pushpull.delivery.policy import Focus, Way
from pushpull.delivery.window import Window
from pushpull.model import Cid, Cursors, Goodbye, LogId, Mode, SessionId, Uid


class Connection(Protocol):
    """Where a session's frames go. Calls return at once; what the socket does not take waits in a buffer."""

    spoke: bool
    """Whether anything was written since this was last set to False."""
    goodbye: Goodbye | None
    """Why it ends, once either side has said so."""

    @property
    def buffered(self) -> int:
        """Bytes handed over that have not left the process."""

    def write(self, data: bytes) -> None:
        """Send one text frame. After close, nothing."""

    def offer(self, data: bytes, most: int) -> bool:
        """Send one text frame unless more than `most` bytes wait to leave; whether it was taken.

        What it is given many are given: the same object, made ready for the wire once.

        A connection that is closed takes it and forgets it, as `write` does: its places are about to go.
        """

    @staticmethod
    def offer_all(connections: Sequence[Any], data: bytes, most: int) -> list[bool]:
        """`offer` to each of these, which are of one kind; whether each took it. The hot path's writes, in one go."""

    def write_soon(self, data: bytes) -> None:
        """As write, after what was written before and ahead of what is written after; but not before this turn of the
        loop ends, where nothing else is written: frames that come in groups (answers to sends) then go out as one."""

    def share(self, data: bytes) -> None:
        """Send one text frame, as `write` does, that others are sent too: the same object."""

    def stalled_s(self, now: float) -> float:
        """For how long (s) bytes have waited with none of them leaving; 0 when nothing waits."""

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, after what was written."""

    def abort(self) -> None:
        """End at once; what waits is lost."""


@dataclass(frozen=True, slots=True)
class Device:
    """Whose places these are."""

    session: SessionId
    uid: Uid
    name: str
    connection: Connection
    receipts: bool = False  # it asked to be told of the others' cursors


class Place:
    """A device's window over one conversation. Bounded by the conversations a user may have."""

    __slots__ = (
        "attached",
        "cid",
        "connection",
        "device",
        "fetching",
        "focus",
        "lagging",
        "mode",
        "noted",
        "notified",
        "oldest",
        "pulling",
        "told",
        "told_in",
        "way",
        "window",
    )

    def __init__(self, device: Device, cid: Cid, start: LogId, mode: Mode, *, oldest: int = 1) -> None:
        """Stand at `start`; everything below `oldest` is hidden from this member."""
        self.device = device
        self.connection = device.connection  # here too: fan-out asks for it once a receiver
        self.cid = cid
        self.window = Window(start)
        self.mode = mode
        self.way = Way.PUSHED if mode is Mode.PUSH else Way.NOTIFIED  # how it is served in that mode
        self.focus = Focus.UNSAID
        self.oldest = oldest
        self.attached = True
        self.lagging = False  # push: it missed a live frame, the backlog goes batch by batch
        self.fetching = False  # a batch of its backlog is being read
        self.pulling = False  # a forward pull of the device's own is being answered
        self.told: Cursors | None = None  # the user's cursors as this device knows them
        self.told_in = 0  # which turn of telling that was (node.cursor_news)
        self.notified = 0  # the head it was last told of
        self.noted = False  # it has a row in the conversation's pending table

    def news_of(self, cursors: Cursors) -> Cursors | None:
        """What to tell the device now that the user's cursors are known to be at `cursors`; None: nothing new.

        Answers of several connections to Redis come in any order, and what a device is told never goes back.
        """
        known = cursors if self.told is None else cursors.joined_with(self.told)
        if known == self.told:
            return None
        self.told = known
        return known
