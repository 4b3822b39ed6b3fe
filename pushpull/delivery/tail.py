"""The newest entries of one conversation, each encoded once, and the pages cut from them.

Theory of operation. A tail stands at a log id, its head, and holds the items of `base … head` without a hole that it
does not know of: `extend` takes entries only from just above the head on, so whatever a page of the tail covers is
what the log holds. A redacted entry is a hole (None). An edit puts the new body into the item it edits, a redaction
takes the item and its edits away, so that no page shows what is no longer in the log. Nothing below `floor` is shown.

Bounded: at most `max_messages` items and `max_bytes` of them; the oldest go first, an eighth at a time so that the
cost of moving the list is spread.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson

from pushpull.delivery import frames
from pushpull.model import Entry, Kind, LogId, seq_of


class Page(msgspec.Struct, frozen=True, gc=False):
    """Covers (after, upto]: `items` are the encoded items in it, ascending; `upto_id` is the log id at its end."""

    after: int
    upto: int
    upto_id: LogId
    items: tuple[bytes, ...]


def page_of(entries: Sequence[Entry], *, after: int, at: LogId) -> Page:
    """The page of `entries`, read from just above `after`; `at` is where it ends when there are none."""
    end = entries[-1].id if entries else at
    return Page(after, seq_of(end), end, tuple(frames.item(entry) for entry in entries))


class Tail:
    def __init__(self, head_id: LogId, *, max_messages: int, max_bytes: int) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self._edits: dict[int, list[int]] = {}  # seq → seqs of its edits; only those that the tail holds
        self.version = 0  # grows when a page cut before may show what it should not any more
        self.stand_at(head_id)

    def stand_at(self, head_id: LogId) -> None:
        """Drop everything and stand at `head_id`: a start, or the log is another than the tail knew."""
        self.version += 1
        self.head_id = head_id
        self.head = seq_of(head_id)
        self.floor = 1  # the oldest seq that may be shown; kept by the owner
        self.base = self.head + 1  # the seq of the first slot
        self.bytes = 0
        self._slots: list[tuple[LogId, bytes] | None] = []
        self._edits.clear()

    def __len__(self) -> int:
        return len(self._slots)

    def extend(self, entries: Sequence[Entry]) -> None:
        """Append `entries`, ascending and the next ones in the log; a seq left out between them was redacted."""
        for entry in entries:
            if entry.seq <= self.head:
                continue
            self._slots.extend([None] * (entry.seq - self.head - 1))
            self._put(entry)
            self._fold(entry)
        self._shed()

    def covers(self, after: int) -> bool:
        """Whether everything in (after, head] is held here; false past the head."""
        return after <= self.head and max(after, self.floor - 1) >= self.base - 1

    def page(self, after: int, *, limit: int, max_bytes: int, upto: int | None = None) -> Page | None:
        """Up to `limit` items above `after`, at most `max_bytes` of them but at least one; None when it is not covered.

        The page ends at the head where it reaches it, else at its last item. `upto` ends it earlier, where an entry
        is held at that seq above `after`; else it means nothing.
        """
        if not self.covers(after):
            return None
        end, end_id = self.head, self.head_id
        if upto is not None and after < upto < end and (named := self.id_of(upto)) is not None:
            end, end_id = upto, named
        items: list[bytes] = []
        size, last_id = 0, end_id
        for slot in self._slots[max(0, max(after + 1, self.floor) - self.base) : end + 1 - self.base]:
            if slot is None:
                continue
            log_id, item = slot
            if items and (len(items) >= limit or size + len(item) > max_bytes):
                return Page(after, seq_of(last_id), last_id, tuple(items))
            items.append(item)
            size += len(item)
            last_id = log_id
        return Page(after, end, end_id, tuple(items))

    def id_of(self, seq: int) -> LogId | None:
        """The log id at `seq`; None where it is not held (older than the tail, or redacted)."""
        if seq == self.head:
            return self.head_id
        if not self.base <= seq < self.head:
            return None
        slot = self._slots[seq - self.base]
        return slot[0] if slot else None

    def shrink(self, max_bytes: int) -> None:
        """Give memory back: keep at most `max_bytes`, the newest."""
        self._shed(max_bytes)

    def _put(self, entry: Entry) -> None:
        item = frames.item(entry)
        self._slots.append((entry.id, item))
        self.bytes += len(item)
        self.head, self.head_id = entry.seq, entry.id

    def _fold(self, entry: Entry) -> None:
        if entry.ref is None:
            return
        if entry.kind in (Kind.EDIT, Kind.REDACT):
            self.version += 1
        if entry.kind == Kind.EDIT:
            self._edits.setdefault(entry.ref, []).append(entry.seq)
            self._rewrite(entry.ref, entry)
        elif entry.kind == Kind.REDACT:
            for seq in (entry.ref, *self._edits.pop(entry.ref, ())):
                self._empty(seq)

    def _rewrite(self, seq: int, edit: Entry) -> None:
        """Put an edit's body into the item at `seq`. Rare, so the item is decoded for it."""
        slot = self._slots[seq - self.base] if seq >= self.base else None
        if slot is None:
            return
        fields = msgspec.json.decode(slot[1], type=dict[str, msgspec.Raw])
        parts: dict[str, object] = {key: orjson.Fragment(bytes(raw)) for key, raw in fields.items()}
        parts["body"] = orjson.Fragment(edit.body)
        parts["edited"] = {"seq": edit.seq, "ts": edit.ts}
        item = orjson.dumps(parts)
        self.bytes += len(item) - len(slot[1])
        self._slots[seq - self.base] = (slot[0], item)

    def _empty(self, seq: int) -> None:
        slot = self._slots[seq - self.base] if seq >= self.base else None
        if slot is not None:
            self.bytes -= len(slot[1])
            self._slots[seq - self.base] = None

    def _shed(self, max_bytes: int | None = None) -> None:
        limit = self.max_bytes if max_bytes is None else max_bytes
        base = self.base
        while self._slots and (
            len(self._slots) > self.max_messages or self.bytes > limit or self.floor - self.base > len(self._slots) // 8
        ):
            count = max(1, len(self._slots) // 8)
            for slot in self._slots[:count]:
                self.bytes -= len(slot[1]) if slot else 0
            del self._slots[:count]
            self.base += count
        if self._edits and self.base > base:
            # By the edits' own seqs: an edit that is here goes with its target even when that one was shed.
            held = {ref: [seq for seq in seqs if seq >= self.base] for ref, seqs in self._edits.items()}
            self._edits = {ref: seqs for ref, seqs in held.items() if seqs}
