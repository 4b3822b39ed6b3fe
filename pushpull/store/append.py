"""The append script's arguments, and what its replies say in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pushpull.errors import (
    CmidConflict,
    CmidExpired,
    Invalid,
    NoSuchConversation,
    NoSuchMessage,
    NotAllowed,
    PushpullError,
    RateLimited,
    StoreUnavailable,
    no_such_conversation,
    not_a_member,
)
from pushpull.model import Cid, Cursors, Draft, LogId, Sent, seq_of
from pushpull.store import codec
from pushpull.store.keys import Keys
from pushpull.store.scripts import APPEND, Arg, Call


def append_call(
    keys: Keys,
    cid: Cid,
    drafts: Sequence[Draft],
    *,
    bucket: int,
    window_ms: int,
    retained: int,
    per_s: float,
    inline_max_bytes: int,
) -> Call:
    """One call for all `drafts`, which are all of conversation `cid`, in order."""
    args: list[Arg] = [window_ms, bucket, retained, per_s, len(drafts)]
    for draft in drafts:
        args.extend(_item(draft, inline_max_bytes))
    return Call(APPEND, keys.appended(cid, bucket), args)


def _item(draft: Draft, inline_max_bytes: int) -> Iterable[Arg]:
    return (
        draft.sender or "",
        int(draft.own and draft.sender is not None),
        draft.cmid,
        draft.kind,
        draft.body,
        int(draft.quiet),
        codec.mention_field(draft),
        codec.mention_index(draft),
        "" if draft.ref is None else draft.ref,
        "" if draft.first_at is None else draft.first_at,
        codec.digest(draft),
        codec.tag_digest(draft),
        draft.chain,
        codec.blob(draft, inline_max_bytes),
    )


def outcome(draft: Draft, reply: Sequence[Any], window_ms: int) -> Sent | PushpullError:
    """What became of one draft: `["ok" | "dup", id]`, `["ok", id, delivered, count]` or `["err", code, detail…]`."""
    if reply[0] == b"err":
        return _refusal(draft, reply[1].decode(), b"".join(reply[2:3]).decode(), window_ms)
    log_id = LogId(reply[1].decode())
    if len(reply) == 2:
        return Sent(draft.cid, draft.cmid, log_id, reply[0] == b"dup")
    # The sender has read up to its own message, the newest: nothing is unread.
    moved = Cursors(delivered=int(reply[2]), read=seq_of(log_id), unread=0, count=int(reply[3]))
    return Sent(draft.cid, draft.cmid, log_id, False, moved)


def _refusal(draft: Draft, code: str, detail: str, window_ms: int) -> PushpullError:
    cid, cmid, sender, ref = draft.cid, draft.cmid, draft.sender, draft.ref
    match code:
        case "no_such_conversation":
            return _none_such(draft, detail)
        case "not_a_member":
            return not_a_member(sender, cid)
        case "not_allowed" if detail == "reader":
            return NotAllowed(f"user {sender} is a reader of {cid} and may not send")
        case "not_allowed":
            return NotAllowed(f"user {sender} may not {detail} message {ref} of {cid}: it is another's")
        case "cmid_conflict":
            return CmidConflict(f"cmid {cmid} is stored as {detail} with another body, kind, mentions or ref")
        case "cmid_expired":
            return CmidExpired(f"cmid {cmid} was first tried {detail} ms ago: expected at most {window_ms} ms")
        case "no_such_message":
            return NoSuchMessage(f"ref {ref} is no message that {cid} still has: its head is {detail}")
        case "rate_limited":
            return RateLimited(f"too many messages a second in {cid}", retry_after_ms=int(detail))
        case "invalid":
            return _invalid(draft, detail)
        case _:
            return StoreUnavailable("a send before it failed; retry with the same cmid")


def _none_such(draft: Draft, detail: str) -> NoSuchConversation:
    if detail == "deleted":
        return NoSuchConversation(f"conversation {draft.cid} was deleted after cmid {draft.cmid} was first tried")
    return no_such_conversation(draft.cid)


def _invalid(draft: Draft, detail: str) -> Invalid:
    if detail == "ref":
        return Invalid(f"kind {draft.kind} needs a ref, the seq of a message")
    return Invalid(f"ref {draft.ref} is of kind {detail}: kind {draft.kind} cannot refer to it")
