"""Where a run's history is written down while it happens, by all who take part in it in this process."""

from __future__ import annotations

import time

from pushpull.model import Cid, LogId, Sent, Uid
from tests.faults.history import Answered, Event, Tried


class Diary:
    """All events, in the order they happened. Bounded by the run: soak begins a new one for each of its rounds."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.confirmed = 0
        self.refused = 0

    def note(self, event: Event) -> None:
        self.events.append(event)

    def tried(self, cid: Cid, sender: Uid, cmid: str, *, connection: str = "") -> None:
        self.note(Tried(cid=cid, sender=sender, cmid=cmid, connection=connection))

    def confirmed_at(self, sent: Sent, sender: Uid) -> None:
        self.confirmed += 1
        self.note(Answered(cid=sent.cid, sender=sender, cmid=sent.cmid, id=LogId(sent.id), at=time.monotonic()))

    def refused_with(self, cid: Cid, sender: Uid, cmid: str, code: str) -> None:
        self.refused += 1
        self.note(Answered(cid=cid, sender=sender, cmid=cmid, code=code, at=time.monotonic()))
