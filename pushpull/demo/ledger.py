"""The check: what was stored, what each device showed, and where the two differ. Pure.

Theory of operation. A conversation has one Log, the truth: `stored`, what the service said `sent` to, by seq. A device
has one Witness per conversation, which sees each message the moment it is shown and keeps no more than the highest
seq, the holes below it and counts; so a long run fits in memory. A message says who sent it and its number, counted up
by each sender in each conversation: that finds what seqs alone do not, one message stored twice under two seqs, and a
sender's messages stored in the wrong order.

What `sent` says may arrive after the message itself, so the two are compared at the end (`Log.verdict`,
`Witness.judge`), over everything that was seen and stored.

    missing        stored, and never shown by a device that should have it
    shown twice    the same message again, under its own seq or another
    out of order   shown after a later one, or stored after a later one of the same sender
    unexpected     shown, and nobody sent it (or another message stands at its place)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec


class Mark(NamedTuple):
    """What tells a message from every other of its conversation: who sent it, and the sender's count, from 1."""

    sender: str
    number: int


class Tally(msgspec.Struct, kw_only=True):
    """Counts over devices: each message once for each device that should have it."""

    expected: int = 0
    shown: int = 0
    missing: int = 0
    twice: int = 0
    out_of_order: int = 0
    unexpected: int = 0

    def add(self, other: Tally) -> None:
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def clean(self) -> bool:
        return not (self.missing or self.twice or self.out_of_order or self.unexpected)


@dataclass(frozen=True, slots=True)
class Faults:
    """Seqs of a log at which something is wrong for every device that showed them."""

    lost: frozenset[int] = frozenset()  # stored, but something else was shown there
    repeated: frozenset[int] = frozenset()
    misplaced: frozenset[int] = frozenset()
    unexpected: frozenset[int] = frozenset()


@dataclass(slots=True)
class Log:
    """The truth about one conversation. Holds an id per message of the run: about 300 bytes each."""

    stored: dict[int, str] = field(default_factory=dict)
    head: int = 0
    seen: dict[int, tuple[str, Mark]] = field(default_factory=dict)  # as the first device showed it
    open: set[Mark] = field(default_factory=set)  # on its way, not answered yet
    _answered: dict[Mark, tuple[int, str]] = field(default_factory=dict)

    def sending(self, mark: Mark) -> None:
        """A device begins to send."""
        self.open.add(mark)

    def sent(self, mark: Mark, seq: int, log_id: str) -> None:
        """The service said that it is stored. A second answer replaces the first: the log had lost it."""
        self.open.discard(mark)
        before, lost_id = self._answered.get(mark, (0, ""))
        if self.stored.get(before) == lost_id:
            del self.stored[before]
        self._answered[mark] = (seq, log_id)
        self.stored[seq] = log_id
        self.head = max(self.head, seq)

    def failed(self, mark: Mark) -> None:
        """The service refused it for good."""
        self.open.discard(mark)

    def shows(self, seq: int, log_id: str, mark: Mark) -> bool:
        """A device shows this message; False when another device showed another one at this place."""
        return self.seen.setdefault(seq, (log_id, mark))[0] == log_id

    def go_back(self, seq: int) -> None:
        """The service lost what lay above `seq`, and told a device so; other messages come in its place."""
        self.seen = {known: shown for known, shown in self.seen.items() if known <= seq}
        self.head = max((known for known in self.stored if known <= seq), default=0)

    def verdict(self) -> Faults:
        """What is wrong with the log itself."""
        repeated, misplaced, unexpected = set(), set(), set()
        known: set[Mark] = set()
        highest: dict[str, int] = {}
        for seq, (_, mark) in sorted(self.seen.items()):
            if mark in known:
                repeated.add(seq)
            elif mark not in self._answered and mark not in self.open:
                unexpected.add(seq)
            elif mark.number < highest.get(mark.sender, 0):
                misplaced.add(seq)
            known.add(mark)
            highest[mark.sender] = max(mark.number, highest.get(mark.sender, 0))
        lost = {seq for seq, log_id in self.stored.items() if seq in self.seen and self.seen[seq][0] != log_id}
        return Faults(frozenset(lost), frozenset(repeated), frozenset(misplaced), frozenset(unexpected))


@dataclass(slots=True)
class Witness:
    """One device in one conversation, from the conversation's beginning."""

    last: int = 0
    holes: set[int] = field(default_factory=set)  # below `last`, not shown
    shown: int = 0
    twice: int = 0
    late: int = 0
    strange: int = 0

    def show(self, log: Log, seq: int, log_id: str, mark: Mark) -> None:
        """The device shows a message."""
        if seq > self.last:
            self.holes.update(range(self.last + 1, seq))
            self.last = seq
        elif seq in self.holes:
            self.holes.discard(seq)
            self.late += 1
        else:
            self.twice += 1
            return
        self.shown += 1
        if not log.shows(seq, log_id, mark):
            self.strange += 1

    def go_back(self, seq: int) -> None:
        """The service had the device throw away what lies above `seq`."""
        self.shown -= max(0, self.last - seq) - sum(hole > seq for hole in self.holes)
        self.last = min(self.last, seq)
        self.holes = {hole for hole in self.holes if hole <= seq}

    def behind(self, log: Log) -> int:
        """Messages that were stored and that the device has not shown yet."""
        return max(0, log.head - self.last) + len(self.holes)

    def judge(self, log: Log, faults: Faults) -> Tally:
        """The final count."""
        return Tally(
            expected=len(log.stored),
            shown=self.shown,
            missing=sum(seq > self.last or seq in self.holes or seq in faults.lost for seq in log.stored),
            twice=self.twice + self._showed(faults.repeated),
            out_of_order=self.late + self._showed(faults.misplaced),
            unexpected=self.strange + self._showed(faults.unexpected),
        )

    def _showed(self, seqs: frozenset[int]) -> int:
        return sum(seq <= self.last and seq not in self.holes for seq in seqs)
