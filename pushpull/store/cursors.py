"""Where members stand: their delivered and read cursors, moved forward many at a time, and asked in both directions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final, Literal

from pushpull.errors import NoSuchMessage, PushpullError, no_such_conversation
from pushpull.model import Cid, Cursors, Uid
from pushpull.store import codec
from pushpull.store.keys import Keys
from pushpull.store.members import slices
from pushpull.store.scripts import BEHIND, CURSORS, FLUSH, Arg, Call, Reply, Wire
from pushpull.store.values import CursorMove, Receipts

MOVES_PER_CALL: Final = 1000
"""Four lists of this many go through Lua's unpack, which ends near 8,000."""

BEHIND_CHUNK: Final = 5000
"""Rows of one `behind` call: a few ms of Redis."""

Which = Literal["delivered", "read"]


class CursorTable:
    """The cursors of all members of all conversations."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def flush(
        self, moves: Mapping[Cid, Sequence[CursorMove]], *, ring: Collection[Cid] = ()
    ) -> dict[Cid, list[Cursors | None] | PushpullError]:
        """Move cursors forward, one script call per conversation and 1,000 moves, all in one pipeline.

        A log id counts only if it is the log's own, redacted, or below the floor; a bare seq is clamped to the head.
        For each move, in order: the cursors after it, or None when nothing moved or the user is no member (then also
        when there is no such conversation). May be repeated safely. Of a conversation that Redis did not take all
        of: StoreUnavailable in its place.

        In those named in `ring` the bell says where all these members stand now, moved or not: a ReceiptBell.
        """
        pieces = [(cid, piece) for cid, asked in moves.items() for piece in slices(asked, MOVES_PER_CALL)]
        calls = [self._flush_call(cid, piece, cid in ring) for cid, piece in pieces]
        replies = await self._wire.run_many(calls, again=True)
        results: dict[Cid, list[Cursors | None] | PushpullError] = {cid: [] for cid in moves}
        for (cid, piece), reply in zip(pieces, replies, strict=True):
            so_far = results[cid]
            if isinstance(reply, PushpullError):
                results[cid] = reply
            elif not isinstance(so_far, PushpullError):
                so_far.extend(_moved(reply, len(piece)))
        return results

    def _flush_call(self, cid: Cid, moves: Sequence[CursorMove], rings: bool) -> Call:
        keys = self._keys
        names = [keys.meta(cid), keys.log(cid), keys.members(cid), keys.delivered(cid), keys.read(cid)]
        args: list[Arg] = ["1" if rings else ""]
        for move in moves:
            args += (move.uid, move.delivered or "", move.read or "")
        return Call(FLUSH, [*names, keys.quiet(cid), keys.redacted(cid), keys.bell(cid)], args)

    async def get(self, cid: Cid, uid: Uid) -> Cursors | None:
        """One member's cursors; None: no such conversation, or not a member."""
        keys = self._keys
        names = [keys.meta(cid), keys.members(cid), keys.delivered(cid), keys.read(cid), keys.quiet(cid)]
        reply = await self._wire.run(Call(CURSORS, names, [uid]), again=True)
        return None if reply is None else codec.cursors(reply[1], reply[0])

    async def receipts(self, cid: Cid, seq: int, *, names: bool) -> Receipts:
        """Who of those who were members when `seq` was appended has it delivered and read, its sender among them.

        With `names` the uids, lowest cursor first: for small conversations. Raises NoSuchConversation, NoSuchMessage.
        """
        keys, bounds = self._keys, (seq, "+inf")
        head = await self._wire.command("HGET", keys.meta(cid), "seq", again=True)
        if head is None:
            raise no_such_conversation(cid)
        if not 1 <= seq <= int(head):
            raise NoSuchMessage(f"seq {seq} is not a message of {cid}: its head is {int(head)}")
        tables = (keys.delivered(cid), keys.read(cid), keys.members(cid))
        how = "ZRANGEBYSCORE" if names else "ZCOUNT"
        delivered, read, later = await self._wire.commands([(how, key, *bounds) for key in tables], again=True)
        if not names:
            # Whoever joined at or above seq has cursors there from the start.
            return Receipts(delivered - later, read - later)
        delivered_by, read_by = _without(delivered, later), _without(read, later)
        return Receipts(len(delivered_by), len(read_by), delivered_by, read_by)

    async def behind(
        self, cid: Cid, *, below: int | None = None, cursor: Which = "delivered", chunk: int = BEHIND_CHUNK
    ) -> AsyncIterator[list[tuple[Uid, int]]]:
        """Members whose cursor is below `below` (None: the head), furthest behind first, in chunks.

        Nobody who stays behind is skipped, however many others move meanwhile. Ends at once where there is no such
        conversation.
        """
        table = self._keys.delivered(cid) if cursor == "delivered" else self._keys.read(cid)
        last_score, last_uid = 0, ""
        while True:
            args: list[Arg] = ["" if below is None else below, last_score, last_uid, chunk]
            reply = await self._wire.run(Call(BEHIND, [self._keys.meta(cid), table], args), again=True)
            if not reply:
                return
            rows = [(Uid(uid.decode()), int(score)) for uid, score in zip(reply[::2], reply[1::2], strict=True)]
            yield rows
            last_uid, last_score = rows[-1]


def _moved(reply: Reply, asked: int) -> list[Cursors | None]:
    if reply is None:
        return [None] * asked
    count, raw = reply
    return [None if each is None else codec.cursors(each, count) for each in raw]


def _without(names: Sequence[Any], others: Sequence[Any]) -> list[Uid]:
    left_out = set(others)
    return [Uid(name.decode()) for name in names if name not in left_out]
