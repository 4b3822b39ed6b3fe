"""Which message is asked for, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass

from pushpull.delivery.trace import MessageFacts, Searched, State
from pushpull.errors import Invalid
from pushpull.model import Cid, LogId, Uid, seq_of, ts_of
from pushpull.store.traces import CmidSearch, Traced, Traces


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A message, by its seq; or by a cmid, which was found at `id` or is told of by `search`."""

    seq: int | None = None
    cmid: str | None = None
    id: LogId | None = None
    search: CmidSearch | None = None


async def wanted_by_cmid(traces: Traces, cid: Cid, cmid: str, sender: Uid | None) -> Wanted:
    """The newest message under a cmid. Raises NoSuchConversation; Invalid where it is several senders'."""
    search = await traces.by_cmid(cid, cmid, sender)
    senders = sorted({who or "the service" for who, _ in search.found})
    if len(senders) > 1:
        raise Invalid(f"cmid {cmid!a:.80} was used by {', '.join(senders)}: name one of them as from")
    if not search.found:
        return Wanted(cmid=cmid, search=search)
    log_id = search.found[0][1]
    return Wanted(seq=seq_of(log_id), cmid=cmid, id=log_id, search=search)


def message_facts(traced: Traced, wanted: Wanted, uid: Uid) -> MessageFacts:
    """What is known of the message, without its body."""
    state = _state(traced, wanted)
    entry = traced.entry
    if state != "stored" or entry is None:
        known = wanted.id or traced.redacted
        return MessageFacts(
            state=state,
            seq=wanted.seq,
            id=known,
            ts=None if known is None else ts_of(known),
            cmid=wanted.cmid,
            searched=_searched(traced, wanted.search) if wanted.seq is None and wanted.search else None,
        )
    return MessageFacts(
        state=state,
        seq=entry.seq,
        id=entry.id,
        ts=entry.ts,
        sender=entry.sender,
        cmid=entry.cmid,
        kind=entry.kind,
        quiet=entry.quiet,
        mentioned=not entry.quiet and bool({uid, "*"} & set(entry.mentions)),
        edited_at=None if entry.edited is None else entry.edited.ts,
    )


def _state(traced: Traced, wanted: Wanted) -> State:
    seq = wanted.seq
    if seq is None:
        assert wanted.search is not None
        return "never_sent" if _searched(traced, wanted.search).whole else "not_found"
    there = traced.entry.id if traced.entry is not None else traced.redacted
    if wanted.id is not None and seq >= traced.head.floor and there != wanted.id:
        return "lost"
    if seq > traced.head.seq:
        return "not_yet"
    if traced.redacted is not None:
        return "redacted"
    if seq < traced.head.floor:
        return "trimmed"
    return "missing" if traced.entry is None else "stored"


def _searched(traced: Traced, search: CmidSearch) -> Searched:
    return Searched(
        cmids_since=search.since_ms,
        from_seq=search.from_seq,
        whole=search.from_seq == 1 and not traced.redactions,
        senders=search.senders,
    )
