"""Cumulative acks: when to send which. Pure; `now` is in seconds of any steady clock.

An ack waits up to `delay_s`, or until `max_messages` are stored and not acked, whichever comes first; a redelivered
range is acked at once, since the service evidently does not know. Bounded by the number of conversations: one seq
each.
"""

from __future__ import annotations


class Acks:
    def __init__(self, *, delay_s: float = 0.2, max_messages: int = 32) -> None:
        self.delay_s = delay_s
        self.max_messages = max_messages
        self._stored: dict[str, int] = {}
        self._acked: dict[str, int] = {}
        self._waiting: set[str] = set()
        self._messages = 0
        self._due_at: float | None = None

    def stored(self, cid: str, seq: int, *, now: float) -> None:
        """The device needs nothing up to `seq` of `cid` again."""
        if seq <= self._stored.get(cid, 0):
            return
        self._stored[cid] = seq
        self._messages += 1
        self._wait(cid, now if self._messages >= self.max_messages else now + self.delay_s)

    def repeat(self, cid: str, *, at: float) -> None:
        """The service sent something again: ack `cid` once more, by then (at once, for a redelivery)."""
        if self._stored.get(cid, 0) > 0:
            self._acked.pop(cid, None)
            self._wait(cid, at)

    def on_row(self, cid: str, *, pos_seq: int, delivered: int, now: float) -> None:
        """A session (re)opened: the device holds up to `pos_seq`, the service believes `delivered`."""
        self._stored[cid] = pos_seq
        self._acked[cid] = min(delivered, pos_seq)
        if delivered < pos_seq:
            self._wait(cid, now)
        else:
            self._waiting.discard(cid)

    def forget(self, cid: str) -> None:
        """The conversation is gone, or starts over."""
        self._stored.pop(cid, None)
        self._acked.pop(cid, None)
        self._waiting.discard(cid)

    @property
    def due_at(self) -> float | None:
        """When to call `take` next; None: nothing waits."""
        return self._due_at if self._waiting else None

    def take(self, *, now: float, at_once: bool = False) -> dict[str, int]:
        """What to ack now, {cid: seq}; empty before the time. `at_once`: the app goes to the background, or ends."""
        if not self._waiting or (not at_once and self._due_at is not None and now < self._due_at):
            return {}
        acks = {cid: self._stored[cid] for cid in self._waiting if self._stored[cid] > self._acked.get(cid, 0)}
        self._acked.update(acks)
        self._waiting.clear()
        self._messages = 0
        self._due_at = None
        return acks

    def _wait(self, cid: str, until: float) -> None:
        self._due_at = min(until, self._due_at) if self._waiting and self._due_at is not None else until
        self._waiting.add(cid)
