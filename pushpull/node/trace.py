"""Everything that is known of one message and one user, gathered from Redis and from the nodes the user is on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from pushpull.delivery.offline import level_of
from pushpull.delivery.policy import Focus
from pushpull.delivery.ruling import Ruling
from pushpull.delivery.trace import (
    CloseFacts,
    ConnectFacts,
    ConversationFacts,
    DeviceFacts,
    Facts,
    LetterFacts,
    MessageFacts,
    OfflineFacts,
    PendingFacts,
    SessionFacts,
    Stand,
    UserFacts,
)
from pushpull.errors import Invalid
from pushpull.model import Cid, Head, Uid
from pushpull.node.asking import ask
from pushpull.node.parts import Parts
from pushpull.node.wanted import Wanted, message_facts, wanted_by_cmid
from pushpull.store.devices import DeviceRecord
from pushpull.store.traces import Traced
from pushpull.store.values import SessionRecord

AT_ONCE: Final = 8
"""Traces of a node under way: each may look through a log and ask every node. The next one waits."""


class Tracer:
    """`ruling_of` says how a conversation is delivered."""

    def __init__(self, parts: Parts, *, ruling_of: Callable[[Head, Cid], Ruling]) -> None:
        self._parts = parts
        self._ruling_of = ruling_of
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def trace(
        self, cid: Cid, uid: Uid, *, seq: int | None = None, cmid: str | None = None, sender: Uid | None = None
    ) -> Facts:
        """What is known of the message at `seq`, or sent under `cmid` (by `sender`; None: by whichever member).

        Raises NoSuchConversation, StoreUnavailable; Invalid where several sent something under that cmid.
        """
        if (seq is None) == (cmid is None):
            raise Invalid("one of seq and cmid is expected, to name the message")
        async with self._turn:
            wanted = Wanted(seq=seq)
            if cmid is not None:
                wanted = await wanted_by_cmid(self._parts.store.traces, cid, cmid, sender)
            return await self._gather(cid, uid, wanted)

    async def _gather(self, cid: Cid, uid: Uid, wanted: Wanted) -> Facts:
        store = self._parts.store
        traced = await store.traces.look(cid, uid, wanted.seq)
        sessions, devices = await asyncio.gather(store.presence.sessions(uid), store.devices.of(uid))
        stands, silent = await ask(self._parts, uid, cid, nodes={session.node for session in sessions})
        message = message_facts(traced, wanted, uid)
        conversation = self._conversation(cid, traced.head)
        return Facts(
            at=traced.now_ms,
            message=message,
            conversation=conversation,
            user=_user(traced, uid, message.seq),
            sessions=_sessions(sessions, stands, silent),
            silent_nodes=silent,
            pending=await self._pending(cid, uid),
            offline=await self._offline(cid, uid, traced, message),
            devices=_devices(devices, {session.device for session in sessions}),
        )

    def _conversation(self, cid: Cid, head: Head) -> ConversationFacts:
        decision = self._ruling_of(head, cid).explained(Focus.UNSAID)
        return ConversationFacts(
            cid=cid,
            head=head.seq,
            floor=head.floor,
            epoch=head.epoch,
            members=head.members,
            mode=decision.mode.value,
            why=decision.why,
            history="joined" if head.settings.history == "joined" else "all",
            notifies=level_of(head.settings.offline, decision.mode),
        )

    async def _pending(self, cid: Cid, uid: Uid) -> list[PendingFacts]:
        return [
            PendingFacts(
                device=row.device,
                session=row.session,
                first=row.first,
                last=row.last,
                delivery_count=row.delivery_count,
                first_sent=row.first_sent_ms,
                last_sent=row.last_sent_ms,
            )
            for row in await self._parts.store.pending.rows(cid, user=uid)
        ]

    async def _offline(self, cid: Cid, uid: Uid, traced: Traced, message: MessageFacts) -> OfflineFacts:
        settings, store = self._parts.settings.offline, self._parts.store
        jobs, claimed = await asyncio.gather(store.jobs.of(cid), store.absences.claimed(cid))
        named = claimed is not None and any(owed.uid == uid for owed in claimed.users)
        stands_at = traced.delivered if settings.withdraw_by == "delivered" else traced.read
        return OfflineFacts(
            enabled=bool(settings.webhook_url),
            withdrawn=_covers(stands_at, message.seq),
            due_at=jobs.due_at_ms,
            job=jobs.job,
            failed_tries=jobs.tries,
            event=claimed.id if claimed is not None and named else None,
            told=traced.told,
            outstanding=traced.told is not None and traced.told > (stands_at or 0),
            letters=[LetterFacts(id=each.id, why=each.why, tries=each.tries, at=each.at_ms) for each in jobs.letters],
        )


def _covers(cursor: int | None, seq: int | None) -> bool:
    return cursor is not None and seq is not None and cursor >= seq


def _user(traced: Traced, uid: Uid, seq: int | None) -> UserFacts:
    if traced.joined is None:
        return UserFacts(user=uid, member=False, past=traced.past)
    return UserFacts(
        user=uid,
        member=True,
        role=traced.role.value,
        joined=traced.joined,
        hidden=traced.head.settings.history == "joined" and seq is not None and seq <= traced.joined,
        delivered=traced.delivered,
        read=traced.read,
        has_delivered=_covers(traced.delivered, seq),
        has_read=_covers(traced.read, seq),
        notify=traced.prefs.notify,
        mute_until=traced.prefs.mute_until,
    )


def _sessions(records: list[SessionRecord], stands: list[Stand], silent: list[str]) -> list[SessionFacts]:
    known = {stand.session: stand for stand in stands}
    return [_session(record, known.get(record.id), record.node in silent) for record in records]


def _session(record: SessionRecord, stand: Stand | None, silent: bool) -> SessionFacts:
    return SessionFacts(
        session=record.id,
        device=record.device,
        node=record.node,
        client=record.client,
        connected_at=record.connected_at_ms,
        known="answered" if stand is not None else "silent" if silent else "gone",
        buffered=None if stand is None else stand.buffered,
        place=None if stand is None else stand.place,
    )


def _devices(records: list[DeviceRecord], connected: set[str]) -> list[DeviceFacts]:
    return [_device(record, record.device in connected) for record in records]


def _device(record: DeviceRecord, connected: bool) -> DeviceFacts:
    opened, closed = record.opened, record.closed
    in_order = closed is not None and (opened is None or opened.session == closed.session)
    return DeviceFacts(
        device=record.device,
        state="connected" if connected else "closed" if in_order else "vanished",
        connected=None if opened is None else ConnectFacts(**msgspec.structs.asdict(opened)),
        closed=None if closed is None else CloseFacts(**msgspec.structs.asdict(closed)),
    )
