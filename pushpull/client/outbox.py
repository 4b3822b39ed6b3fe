"""Messages on their way out, in order per conversation, until the service has each or refuses it for good.

Theory of operation. Each conversation is a lane. From its front up to `window` sends are in flight. A temporary
error, or a cut connection, sends a message back to waiting under the same cmid: the service stores it once however
often it comes. When one fails, the service also fails those sent behind it, so a lane that has seen a temporary
error takes nothing new until every send in flight was answered, waits, and goes on in the old order. A permanent
error fails that one message and leaves the order of the others.

What was stored stays known for a while (`kept` messages): if a failover loses it, `return_above` puts it back in
front.

Pure: `now` is a steady clock in seconds, `now_ms` the service's clock, `chance` uniform in [0, 1).
Bounded: `full` from `max_pending` sends on; the caller waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from pushpull.client.backoff import Backoff
from pushpull.errors import PushpullError
from pushpull.model import Cid, LogId, Sent, seq_of

WINDOW: Final = 16
"""Sends in flight per conversation. They share a group commit at the service; more only makes a failure costlier."""

LANE_LONGEST_S: Final = 2.0
"""Between two tries on a connection that is open. They cost a frame each, not a handshake: whoever waits for a message
to be stored must not wait long after the service can do it again."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """One message and what became of it: `result` or `error` once `done`."""

    cid: str
    cmid: str
    body: msgspec.Raw
    kind: str = "message"
    quiet: bool = False
    mentions: tuple[str, ...] = ()
    ref: int | None = None
    first_at: int | None = None
    again: bool = False  # it was tried before
    in_flight: bool = False
    result: Sent | None = None
    error: PushpullError | None = None
    on_done: Callable[[Outgoing], None] | None = None

    def frame(self) -> dict[str, Any]:
        """As `send` says it."""
        frame: dict[str, Any] = {"type": "send", "cid": self.cid, "cmid": self.cmid, "body": self.body}
        if self.kind != "message":
            frame["kind"] = self.kind
        if self.quiet:
            frame["quiet"] = True
        if self.mentions:
            frame["mentions"] = self.mentions
        if self.ref is not None:
            frame["ref"] = self.ref
        # A first try repeats nothing, however far the clocks are apart: nobody may call it too late.
        if self.again and self.first_at is not None:
            frame["first_at"] = self.first_at
        return frame


@dataclass(slots=True)
class _Lane:
    queue: deque[Outgoing] = field(default_factory=deque)
    in_flight: int = 0
    troubled: bool = False  # a temporary error came: settle what is in flight first
    held: int = 0  # expired sends whose fate is being looked up
    not_before: float = 0.0
    backoff: Backoff = field(default_factory=lambda: Backoff(longest_s=LANE_LONGEST_S))


class Outbox:
    def __init__(self, *, max_pending: int = 1000, window: int = WINDOW, kept: int = 1000) -> None:
        self.max_pending = max_pending
        self.window = window
        self._lanes: dict[str, _Lane] = {}
        self._pending = 0
        self._kept: deque[Outgoing] = deque(maxlen=kept)

    def __len__(self) -> int:
        return self._pending

    @property
    def full(self) -> bool:
        return self._pending >= self.max_pending

    def add(self, outgoing: Outgoing) -> None:
        """Put a message behind the others of its conversation."""
        self._lanes.setdefault(outgoing.cid, _Lane()).queue.append(outgoing)
        self._pending += 1

    def take(self, *, now: float, now_ms: int, listed: Container[str] | None = None) -> list[Outgoing]:
        """What to send now, to the conversations that are `listed` (None: to all); from here on it is in flight."""
        taken: list[Outgoing] = []
        for cid, lane in self._lanes.items():
            if lane.troubled or lane.held or now < lane.not_before or (listed is not None and cid not in listed):
                continue
            for outgoing in self._waiting(lane):
                outgoing.in_flight = True
                outgoing.again = outgoing.first_at is not None
                outgoing.first_at = outgoing.first_at or now_ms
                lane.in_flight += 1
                taken.append(outgoing)
        return taken

    def due_at(self, *, now: float) -> float | None:
        """When a lane that waits after an error may go on; None: none waits for time."""
        lanes = (lane for lane in self._lanes.values() if not lane.troubled and not lane.held)
        return min((lane.not_before for lane in lanes if lane.not_before > now), default=None)

    def on_sent(self, cid: str, cmid: str, log_id: str, *, dup: bool) -> None:
        """The service has it."""
        found = self._find(cid, cmid)
        if found is None:
            return
        lane, outgoing = found
        lane.backoff.failures = 0
        outgoing.result = Sent(Cid(cid), cmid, LogId(log_id), dup)
        self._kept.append(outgoing)
        self._remove(lane, outgoing)

    def on_refused(
        self, cid: str, cmid: str, error: PushpullError, *, temporary: bool, now: float, chance: float
    ) -> bool:
        """The service refused it: again later when `temporary`, else it is done. False: no such send is in flight."""
        found = self._find(cid, cmid)
        if found is None:
            return False
        lane, outgoing = found
        if not temporary:
            outgoing.error = error
            lane.troubled = True  # those behind it fail as well: a new one must not overtake them
            self._remove(lane, outgoing)
            return True
        if not lane.troubled:
            lane.troubled = True
            wait_s = max(lane.backoff.next_delay_s(chance), (error.retry_after_ms or 0) / 1000)
            lane.not_before = now + wait_s
        self._land(lane, outgoing)
        return True

    def expire(self, cid: str, cmid: str) -> Outgoing | None:
        """It was refused as `cmid_expired`: hold its lane until `rename` or `settle` decides."""
        found = self._find(cid, cmid)
        if found is None:
            return None
        lane, outgoing = found
        lane.held += 1
        lane.troubled = True
        self._land(lane, outgoing)
        return outgoing

    def rename(self, outgoing: Outgoing, cmid: str) -> None:
        """Send it under a new cmid, in its old place: it is known not to have been stored under the old one."""
        lane = self._lane_of(outgoing)
        if lane is not None:
            outgoing.cmid, outgoing.first_at = cmid, None
            lane.held -= 1

    def settle(self, outgoing: Outgoing, *, result: Sent | None = None, error: PushpullError | None = None) -> None:
        """Finish a held send whose fate was found out elsewhere."""
        lane = self._lane_of(outgoing)
        if lane is not None:
            lane.held -= 1
            outgoing.result, outgoing.error = result, error
            self._remove(lane, outgoing)

    def disconnected(self, *, now: float) -> None:
        """Nothing in flight will be answered: all of it waits again, in order."""
        for lane in self._lanes.values():
            for outgoing in lane.queue:
                outgoing.in_flight = False
            lane.in_flight = 0
            lane.troubled = False
            lane.not_before = now

    def cancel(self, outgoing: Outgoing) -> bool:
        """Give up a message that was never tried. False: it may be on its way, and stays."""
        lane = self._lane_of(outgoing)
        if lane is None or outgoing.first_at is not None:
            return False
        outgoing.on_done = None
        self._remove(lane, outgoing)
        return True

    def return_above(self, cid: str, seq: int, *, everything: bool = False) -> int:
        """A failover lost what is above `seq`: own messages from there go out again, first. Returns how many."""
        lost = [
            o for o in self._kept if o.cid == cid and o.result is not None and (everything or seq_of(o.result.id) > seq)
        ]
        lost.sort(key=lambda o: seq_of(o.result.id) if o.result else 0)
        for outgoing in reversed(lost):
            self._kept.remove(outgoing)
            outgoing.result, outgoing.in_flight = None, False
            self._lanes.setdefault(cid, _Lane()).queue.appendleft(outgoing)
            self._pending += 1
        return len(lost)

    def on_deleted(self, cid: str, error: PushpullError) -> None:
        """The conversation was deleted: what waits for it fails, and what was stored there does not return.

        What is in flight is answered yet.
        """
        self._kept = deque((o for o in self._kept if o.cid != cid), maxlen=self._kept.maxlen)
        lane = self._lanes.get(cid)
        if lane is None:
            return
        lane.held = 0
        for outgoing in [each for each in lane.queue if not each.in_flight]:
            outgoing.error = error
            self._remove(lane, outgoing)

    def abandon(self, error: PushpullError) -> None:
        """The device ends: fail whatever still waits."""
        for lane in list(self._lanes.values()):
            for outgoing in list(lane.queue):
                outgoing.error = error
                self._remove(lane, outgoing)

    def _lane_of(self, outgoing: Outgoing) -> _Lane | None:
        """Its lane, while it is in it."""
        lane = self._lanes.get(outgoing.cid)
        return lane if lane is not None and outgoing in lane.queue else None

    def _waiting(self, lane: _Lane) -> Iterator[Outgoing]:
        for outgoing in lane.queue:
            if lane.in_flight >= self.window:
                return
            if not outgoing.in_flight:
                yield outgoing

    def _find(self, cid: str, cmid: str) -> tuple[_Lane, Outgoing] | None:
        lane = self._lanes.get(cid)
        for outgoing in lane.queue if lane is not None else ():
            if outgoing.cmid == cmid and outgoing.in_flight:
                assert lane is not None
                return lane, outgoing
        return None

    def _remove(self, lane: _Lane, outgoing: Outgoing) -> None:
        if outgoing.in_flight:
            self._land(lane, outgoing)
        lane.queue.remove(outgoing)
        self._pending -= 1
        if not lane.queue:
            del self._lanes[outgoing.cid]
        if outgoing.on_done is not None:
            outgoing.on_done(outgoing)

    @staticmethod
    def _land(lane: _Lane, outgoing: Outgoing) -> None:
        """It is in flight no more; trouble lasts until the last one has landed."""
        outgoing.in_flight = False
        lane.in_flight -= 1
        lane.troubled = lane.troubled and lane.in_flight > 0
