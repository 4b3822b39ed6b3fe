"""What was handed to one device of one conversation and is not acknowledged yet.

Theory of operation. A window is two cursors over the log: `acked ≤ sent`. What lies between them is outstanding.

    extend    moves `sent` up to the end of a frame that was handed to the device; the first outstanding frame sets
              the deadline: now + ack_wait.
    ack       moves `acked` up, never past `sent` (an ack of what was never sent means nothing). Progress proves the
              device alive: the deadline starts anew, the delivery count goes back to one.
    redeliver at the deadline hands the whole outstanding range again and waits longer each time:
              ack_wait × backoff^n. After `max_deliver` deliveries the device is Exhausted.

A device that is notified and pulls has the same two cursors and no deadline: `hand` instead of `extend`.

`sent_id` is the log id at `sent`, and `marks` remembers those at the ends of the frames before, while they are
outstanding, so that an ack is written with the id it means (an ack of a tail that Redis lost must not count for its
successor). Whoever acks frame by frame needs no marks. Bounded: a mark per frame, a frame holds at least one message,
and at most `max_ack_pending` messages are outstanding; MARKS_MAX where nothing waits.

The names are NATS JetStream's (ack_wait, max_deliver, max_ack_pending, backoff) and Redis' (delivery_count).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from pushpull.model import LogId, seq_of
from pushpull.settings import Delivery


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Hand (after, upto] to the device again; `count` redeliveries have been made, this one included."""

    after: int
    upto: int
    count: int


class Exhausted(Enum):
    """`max_deliver` deliveries went unacknowledged."""

    EXHAUSTED = "exhausted"


EXHAUSTED = Exhausted.EXHAUSTED
NEVER = math.inf
MARKS_MAX = 512
"""Marks of a device that pulls and does not ack. Past it the oldest go; an ack of those is written a little lower."""


class Window:
    __slots__ = ("acked", "acked_id", "deadline", "delivery_count", "first_sent", "marks", "sent", "sent_id")

    acked: int
    acked_id: LogId
    sent: int
    sent_id: LogId
    deadline: float
    delivery_count: int
    marks: list[tuple[int, LogId]] | None  # None while there are none: most windows never have any

    def __init__(self, start: LogId) -> None:
        """A window that stands at `start`: everything up to it is taken as acknowledged."""
        self.first_sent = 0.0
        self.rewind(start)

    @property
    def outstanding(self) -> int:
        """How many seqs are sent and not acknowledged."""
        return self.sent - self.acked

    def extend(self, upto: int, upto_id: LogId, *, now: float, settings: Delivery) -> None:
        """The frame (sent, upto] was handed to the device."""
        if upto > self.sent:
            self.push(upto, upto_id, now, now + settings.ack_wait_ms / 1000)

    def push(self, upto: int, upto_id: LogId, now: float, deadline: float) -> bool:
        """`extend`, where `upto` is above `sent` for sure; True when the device begins to owe an ack, by `deadline`.

        Called for every receiver of every message.
        """
        if self.acked < self.sent:
            self._mark()
        self.sent, self.sent_id = upto, upto_id
        if self.delivery_count:
            return False
        self.delivery_count, self.first_sent, self.deadline = 1, now, deadline
        return True

    def hand(self, upto: int, upto_id: LogId) -> None:
        """The frame (sent, upto] was handed over and nobody waits for its ack: the notify way."""
        if upto <= self.sent:
            return
        if self.acked < self.sent:
            self._mark()
        self.sent, self.sent_id = upto, upto_id

    def _mark(self) -> None:
        """Remember where the last frame ended, which is outstanding and no longer the last."""
        if self.marks is None:
            self.marks = []
        elif len(self.marks) >= MARKS_MAX:
            del self.marks[: MARKS_MAX // 2]
        self.marks.append((self.sent, self.sent_id))

    def ack(self, seq: int, *, now: float, settings: Delivery) -> bool:
        """The device needs nothing up to `seq` again. False when that is no news, or was never sent to it."""
        if not self.acked < seq <= self.sent:
            return False
        self.acked = seq
        if seq == self.sent:
            self.acked_id = self.sent_id
            self.marks = None
            self.forget_deadline()
            return True
        while self.marks and self.marks[0][0] <= seq:
            self.acked_id = self.marks.pop(0)[1]
        if self.delivery_count:
            self.delivery_count = 1
            self.first_sent = now
            self.deadline = now + settings.ack_wait_ms / 1000
        return True

    def redeliver(self, *, now: float, settings: Delivery) -> Redelivery | Exhausted | None:
        """What is due at `now`; None when nothing is. A Redelivery counts as made and sets the next deadline."""
        if now < self.deadline:
            return None
        if self.delivery_count >= settings.max_deliver:
            return EXHAUSTED
        wait_s = settings.ack_wait_ms / 1000 * settings.backoff**self.delivery_count
        self.delivery_count += 1
        self.deadline = now + wait_s
        return Redelivery(self.acked, self.sent, self.delivery_count - 1)

    def await_ack(self, *, now: float, settings: Delivery) -> None:
        """Wait for the ack of what is outstanding, anew from `now`; the deliveries made so far still count."""
        if self.delivery_count == 0:
            self.delivery_count = 1
            self.first_sent = now
        self.deadline = now + settings.ack_wait_ms / 1000

    def forget_deadline(self) -> None:
        """Stop waiting for acks: all came, or the device is notified from here on."""
        self.deadline = NEVER
        self.delivery_count = 0

    def skip(self, floor: LogId) -> None:
        """Nothing up to `floor` can be sent again: it was trimmed. What was sent above it stays outstanding."""
        seq = seq_of(floor)
        if seq >= self.sent:
            self.rewind(floor)
        elif seq > self.acked:
            self.acked, self.acked_id = seq, floor
            self.marks = [mark for mark in self.marks or () if mark[0] > seq] or None

    def rewind(self, start: LogId) -> None:
        """Stand at `start`, wherever that is: the log diverged."""
        self.acked = self.sent = seq_of(start)
        self.acked_id = self.sent_id = start
        self.marks = None
        self.forget_deadline()
