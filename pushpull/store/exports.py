"""A conversation as it is taken elsewhere: its log as it was sent, what is gone from it, and its members."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from pushpull.errors import no_such_conversation
from pushpull.model import DEFAULT_PREFS, Cid, Edited, Entry, LogId, MovedMember, Uid, seq_of, ts_of
from pushpull.store import codec
from pushpull.store.keys import Keys
from pushpull.store.members import Members
from pushpull.store.scripts import Call, Script, Wire

PAGE_SEQS: Final = 500
PAGE_BYTES: Final = 1024 * 1024
PAGE_MEMBERS: Final = 1000

_EXPORT: Final = Script.load("export", "basics", "page")


@dataclass(frozen=True, slots=True)
class ExportedMessage:
    """A message as it was sent and, where it was edited, what it says since."""

    entry: Entry
    edited: Edited | None = None
    latest: bytes = b""


@dataclass(frozen=True, slots=True)
class ExportedHole:
    """A seq at which nothing stands any more; `id` is what stood there, None: that is not known."""

    seq: int
    id: LogId | None
    quiet: bool


@dataclass(frozen=True, slots=True)
class ExportPage:
    """One piece of a log: every seq from the one asked for, or the floor where that is higher, to `upto`."""

    epoch: str
    floor: int
    upto: int
    parts: list[ExportedMessage | ExportedHole]  # ascending


class Exports:
    """Of all conversations. Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys, members: Members) -> None:
        self._wire = wire
        self._keys = keys
        self._members = members

    async def page(self, cid: Cid, *, first: int, upto: int) -> ExportPage:
        """The log from seq `first` on, of nothing above `upto`: at most 500 seqs and 1 MiB of bodies, at least one seq.

        Raises NoSuchConversation.
        """
        keys = self._keys
        names = [keys.meta(cid), keys.log(cid), keys.redacted(cid), keys.edits(cid), keys.quiet(cid)]
        reply = await self._wire.run(Call(_EXPORT, names, [first, upto, PAGE_SEQS, PAGE_BYTES]), again=True)
        if reply is None:
            raise no_such_conversation(cid)
        epoch, floor, ends, raw, edits, holes, ids, quiet = reply
        parts: list[ExportedMessage | ExportedHole] = [
            _message(each, edit) for each, edit in zip(raw, edits, strict=True)
        ]
        parts += [
            ExportedHole(int(seq), None if log_id is None else LogId(log_id.decode()), at is not None)
            for seq, log_id, at in zip(holes, ids, quiet, strict=True)
        ]
        if holes:
            parts.sort(key=_seq_of)
        return ExportPage(epoch.decode(), int(floor), int(ends), parts)

    async def members(self, cid: Cid, *, after: MovedMember | None, head: int) -> list[MovedMember]:
        """The next members after that one, in the order they joined: about 1,000, empty after the last.

        Cursors stand at most at `head`; who joined above it is left out. Raises NoSuchConversation.
        """
        where = {} if after is None else {"after": after.uid, "joined": after.joined}
        rows = await self._members.page(cid, limit=PAGE_MEMBERS, **where)  # type: ignore[arg-type]
        rows = [row for row in rows if row.joined <= head]
        if not rows:
            return []
        prefs = await self._wire.command("HMGET", self._keys.prefs(cid), *(row.user for row in rows), again=True)
        return [
            MovedMember(
                uid=Uid(row.user),
                role=row.role,
                joined=row.joined,
                delivered=min(row.delivered, head),
                read=min(row.read, head),
                prefs=DEFAULT_PREFS if said is None else codec.prefs(said),
            )
            for row, said in zip(rows, prefs, strict=True)
        ]


def _message(raw: Any, edit: bytes | None) -> ExportedMessage:
    entry = codec.entry(raw)
    if edit is None:
        return ExportedMessage(entry)
    edit_id, _, latest = edit.partition(b" ")
    return ExportedMessage(entry, Edited(seq_of(edit_id.decode()), ts_of(edit_id.decode())), latest)


def _seq_of(part: ExportedMessage | ExportedHole) -> int:
    return part.seq if isinstance(part, ExportedHole) else part.entry.seq
