"""The client's whole rule for receiving, one conversation at a time.

Theory of operation. A device stands at `pos`, a log id: it has everything up to there. A `messages` frame covers
`(after, upto]`, with redacted entries left out, and meets `pos` in one of three ways:

    after <= seq(pos) < upto     Applied: take the items above pos, then stand at upto_id
    upto <= seq(pos)             Duplicate: show nothing, ack
    after > seq(pos)             Gap: drop it, pull from pos

`head` is the highest head seen. `chasing` says that the device itself must pull until pos is there: after a gap,
after a notice, or because the conversation is not pushed. A pushed conversation that is merely behind is not
chased: the service sends the next batch once the last is acked, and pulling as well would carry everything twice.
One pull at a time is under way; an answer without progress ends the chase, so that a head which went away in a
failover cannot keep a device pulling for ever.

Everything that moves `pos` is here. There is no clock and no I/O.
"""

from __future__ import annotations

from dataclasses import dataclass

from pushpull.client import frames
from pushpull.client.frames import Item
from pushpull.model import Mode, seq_of


@dataclass(frozen=True, slots=True)
class Applied:
    """The new items, ascending (none when all of them were redacted), and where the device stands after them."""

    items: tuple[Item, ...]
    pos: str


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Nothing new up to `upto`."""

    upto: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Something between the device and `after` is missing here."""

    after: int


Verdict = Applied | Duplicate | Gap


@dataclass(slots=True)
class Position:
    """Where a device stands in one conversation."""

    pos: str
    epoch: str = ""
    head: int = 0
    mode: str = Mode.NOTIFY
    chasing: bool = False
    pulling: int | None = None  # the `after` of the pull under way
    rests: bool = False  # told of, and not on the screen: what there is waits until it is

    @property
    def seq(self) -> int:
        return seq_of(self.pos)

    @property
    def behind(self) -> bool:
        return self.seq < self.head

    def wake(self, *, at_once: bool) -> None:
        """It came onto the screen: the service gives what it lacks, or `at_once` it must be pulled."""
        self.rests = False
        self.chasing = self.behind and at_once

    def on_messages(self, frame: frames.Messages) -> Verdict:
        """Judge one frame and move. The frame may be a push, an inline notice, a redelivery or a pull's answer."""
        answered = self._answered(frame)
        self.head = max(self.head, frame.head, frame.upto)
        here = self.seq
        if frame.upto <= here:
            if answered:
                self.chasing = False
            return Duplicate(frame.upto)
        if frame.after > here:
            self.chasing = True
            return Gap(frame.after)
        self.pos = frame.upto_id
        self.chasing = self.behind and (self.chasing or answered or self.mode != Mode.PUSH)
        self.rests = self.rests and self.behind
        return Applied(tuple(item for item in frame.items if here < item.seq <= frame.upto), frame.upto_id)

    def put_off(self, frame: frames.Messages) -> None:
        """There is no room for this frame: learn the head from it, and pull it later."""
        self._answered(frame)
        self.head = max(self.head, frame.head, frame.upto)
        self.chasing = self.behind

    def on_notice(self, head: int) -> None:
        """There is something up to `head`."""
        self.head = max(self.head, head)
        self.chasing = self.behind

    def on_reset(self, *, pos: str, epoch: str, head: int, reason: str = "") -> None:
        """Continue from `pos`. The head may be lower than one seen before: a failover lost what was above it.

        A `diverged` only ever goes back: it names the last id that both logs have, and a device that has not come so
        far yet (the service counts what it sent, not what had room here) would skip what lies between.
        """
        if reason != "diverged" or seq_of(pos) <= self.seq:
            self.pos = pos
        self.epoch, self.head = epoch, max(head, seq_of(pos))
        self.pulling = None
        self.chasing = self.behind and self.mode != Mode.PUSH

    def on_row(self, row: frames.Row) -> str | None:
        """Take up a listed conversation at `row.start`.

        Returns None when that is where the device stands, else why it is not, as in `reset`: `trimmed` when the
        start lies ahead, `diverged` when it lies behind or carries another tag.
        """
        held = self.pos
        self.mode = row.mode
        self.on_reset(pos=row.start, epoch=row.epoch, head=row.head)
        if row.start == held:
            return None
        return "trimmed" if seq_of(row.start) > seq_of(held) else "diverged"

    def _answered(self, frame: frames.Messages) -> bool:
        answered = self.pulling is not None and frame.after == self.pulling
        if answered:
            self.pulling = None
        return answered
