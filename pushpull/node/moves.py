"""Cursors that are moved by a call: at once, and told to the user's devices everywhere."""

from __future__ import annotations

from pushpull.errors import PushpullError, not_a_member
from pushpull.model import Cid, Cursors, Uid
from pushpull.node.parts import Parts
from pushpull.store.values import CursorMove


async def move_cursors(parts: Parts, cid: Cid, uid: Uid, *, delivered: int | None, read: int | None) -> Cursors:
    """Move a member's cursors, clamped to the head and never back; returns them as they are now.

    Raises NoSuchConversation, NotAMember, StoreUnavailable.
    """
    move = CursorMove(
        uid=uid,
        delivered=None if delivered is None else str(delivered),
        read=None if read is None else str(read),
    )
    ring = {cid} if parts.receipts.asked(cid, (uid,)) else set()
    flushed = (await parts.store.cursors.flush({cid: [move]}, ring=ring))[cid]
    if isinstance(flushed, PushpullError):
        raise flushed
    after = flushed[0]
    if after is not None:
        parts.cursor_news.moved(cid, uid, after)
        parts.abroad.moved_by_call(cid, uid, after)
        return after
    now = await parts.store.cursors.get(cid, uid)
    if now is None:
        raise not_a_member(uid, cid)
    return now
