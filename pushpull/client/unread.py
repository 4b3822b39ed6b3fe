"""The unread badge of one conversation, kept exact between the frames that state it.

`count` is the number of messages up to the head that are not quiet, so unread moves with it: unread now = unread
then + (count now − count then). Rows, notices and cursors state a count; a pushed message does not, so it is
counted here, from the last (head, count) that was stated together. A count that was stated meanwhile (cursors,
computed at a head this device has not been given yet) is then caught up with, not added to.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Badge:
    """All fields together: unread as stated at `stated_count`; counted so far up to seq `upto`."""

    stated_unread: int
    stated_count: int
    count: int
    upto: int
    upto_count: int

    @classmethod
    def stated(cls, *, unread: int, count: int, head: int) -> Badge:
        """As a row states it."""
        return cls(stated_unread=unread, stated_count=count, count=count, upto=head, upto_count=count)

    @property
    def unread(self) -> int:
        return max(0, self.stated_unread + self.count - self.stated_count)

    def on_cursors(self, *, unread: int, count: int) -> None:
        """The service computed unread at `count`; what was counted beyond stays counted."""
        self.stated_unread, self.stated_count = unread, count
        self.count = max(self.count, count)

    def on_notice(self, *, head: int, count: int) -> None:
        """There are `count` messages that are not quiet up to `head`."""
        if head >= self.upto:
            self.upto, self.upto_count = head, count
            self.count = max(self.count, count)

    def on_message(self, *, seq: int, quiet: bool) -> None:
        """A message was received, in order."""
        if seq <= self.upto:
            return
        self.upto = seq
        if not quiet:
            self.upto_count += 1
            self.count = max(self.count, self.upto_count)
