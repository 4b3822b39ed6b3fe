"""What was received and not yet taken, in order; and how far the owner has come.

Theory of operation. A conversation has three places in a device: *received* (rule.Position), *handed* (the owner
has seen it) and *stored* (the owner is done with it, which it says by asking for the next). Acks and the positions
to persist follow `stored`. A new connection resumes from `handed`: whatever is only queued is dropped then and
comes again, so that one position, not two, has to be checked against a log that may have diverged meanwhile.

Each entry carries the position it leads to. A `reset` is an entry too, in its place among the messages: the
position goes back only when the owner has been told to throw things away.

Bounded: `full` from `max_queued` entries on; the caller then puts frames off (rule.Position.put_off) and pulls when
there is room, so it grows past the bound by one page at most. Events without a position are dropped while it is
full: what they say stays readable in the chat's conversations.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from pushpull.client.events import Event, Message, Reset
from pushpull.model import seq_of


@dataclass(slots=True)
class Entry:
    """One thing to take. `event` None: only the position moves (everything in a range was redacted)."""

    event: Event | None
    cid: str | None = None
    pos: str | None = None


class Inbox:
    """The queue between the connection and its one reader."""

    def __init__(self, positions: dict[str, str], *, max_queued: int) -> None:
        self.max_queued = max_queued
        self.handed: dict[str, str] = dict(positions)
        self.stored: dict[str, str] = dict(positions)
        self._queue: deque[Entry] = deque()
        self._in_hand: Entry | None = None

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def full(self) -> bool:
        return len(self._queue) >= self.max_queued

    @property
    def roomy(self) -> bool:
        """Half empty: time to pull what was put off (not at each message taken, which would be a pull per message)."""
        return len(self._queue) <= self.max_queued // 2

    def begin(self, cid: str, pos: str) -> None:
        """A conversation starts here for this device."""
        self.handed[cid] = self.stored[cid] = pos

    def put(self, cid: str, messages: list[Message], pos: str) -> None:
        """Queue `messages`, ascending, after all of which the device stands at `pos`."""
        self._queue.extend(Entry(message, cid, message.id) for message in messages)
        if not messages or messages[-1].id != pos:
            self._queue.append(Entry(None, cid, pos))

    def put_reset(self, reset: Reset) -> None:
        """Queue a reset; what is queued and void after it goes at once, and what is in hand no longer counts."""
        if reset.reason == "epoch":
            self._drop(lambda entry: entry.cid == reset.cid)
        elif reset.reason != "trimmed":
            floor = seq_of(reset.pos)
            self._drop(lambda entry: entry.cid == reset.cid and entry.pos is not None and seq_of(entry.pos) > floor)
        hand = self._in_hand
        if hand is not None and hand.cid == reset.cid and reset.reason != "trimmed":
            self._in_hand = None
        self._queue.append(Entry(reset, reset.cid, reset.pos))

    def put_event(self, event: Event) -> None:
        """Queue an event that moves no position; dropped while the queue is full."""
        if not self.full:
            self._queue.append(Entry(event))

    def take(self) -> Entry | None:
        """The next entry, or None. The owner has seen it from now on."""
        if not self._queue:
            return None
        entry = self._queue.popleft()
        if entry.cid is not None and entry.pos is not None and entry.cid in self.handed:
            self.handed[entry.cid] = entry.pos
        self._in_hand = entry
        return entry

    def settle(self, *, resets_only: bool = False) -> tuple[str, str] | None:
        """The owner is done with what it has in hand. Returns (cid, pos) where a position moved.

        `resets_only`: messages are acked by hand; what lies before a marker may not be stored yet, so it counts as
        little.
        """
        entry, self._in_hand = self._in_hand, None
        if entry is None or entry.cid is None or entry.pos is None:
            return None
        reset = type(entry.event) is Reset
        if resets_only and (not reset or seq_of(self.stored.get(entry.cid, entry.pos)) <= seq_of(entry.pos)):
            return None
        return (entry.cid, entry.pos) if self.mark_stored(entry.cid, entry.pos, back=reset) else None

    def mark_stored(self, cid: str, pos: str, *, back: bool = False) -> bool:
        """Everything up to `pos` is stored; False when it was already, or lies above what was handed out."""
        if cid not in self.stored or seq_of(pos) > seq_of(self.handed[cid]):
            return False
        if not back and seq_of(pos) <= seq_of(self.stored[cid]):
            return False
        self.stored[cid] = pos
        return True

    def rewind(self) -> None:
        """A new connection: drop what is queued and has a position, it comes again from `handed`."""
        self._drop(lambda entry: entry.pos is not None)

    def forget(self, cid: str) -> None:
        """The conversation was left: it has no position any more. What is queued of it may still be taken.

        That moves no position either, should another one of the same name begin meanwhile.
        """
        self.handed.pop(cid, None)
        self.stored.pop(cid, None)
        for entry in (*self._queue, self._in_hand):
            if entry is not None and entry.cid == cid:
                entry.cid = entry.pos = None

    def _drop(self, void: Callable[[Entry], bool]) -> None:
        self._queue = deque(entry for entry in self._queue if not void(entry))
