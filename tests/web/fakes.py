"""A node in memory: what the calls see of the real one, without Redis. Each rule of the log is as short as can be."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from pushpull.delivery import frames
from pushpull.delivery.ruling import Ruling
from pushpull.errors import (
    CmidConflict,
    Invalid,
    NoSuchConversation,
    NoSuchMessage,
    NotAMember,
    PushpullError,
    StoreUnavailable,
    Unauthenticated,
)
from pushpull.model import (
    ZERO_ID,
    Cid,
    ConversationSettings,
    Cursors,
    Draft,
    Entry,
    Head,
    LogId,
    Mode,
    Role,
    Row,
    Sent,
    SessionId,
    Uid,
)
from pushpull.node.allowances import Allowances
from pushpull.node.attendance import Present
from pushpull.node.metrics import Metrics
from pushpull.node.overview import Busy, ranked
from pushpull.node.policy import Policy
from pushpull.node.report import Report
from pushpull.node.rows import row_json
from pushpull.settings import Settings
from pushpull.store.policy import PolicyDocument
from pushpull.store.values import MemberCounts, MemberRow, NodeRecord, Receipts, RowRequest, SessionRecord
from tests.node.reports import busy, report

NODE: dict[str, Any] = {
    "age_ms": 5,
    "version": "1.0.0",
    "sessions": 0,
    "feeds": 0,
    "lag_ms": 0.1,
    "started_at": 1,
    "draining": False,
    "receipts": False,
}
"""What a node's heartbeat says of it."""


@dataclass
class FakeConversation:
    settings: ConversationSettings = field(default_factory=ConversationSettings)
    members: dict[Uid, Role] = field(default_factory=dict)
    log: list[Entry] = field(default_factory=list)
    read: dict[Uid, int] = field(default_factory=dict)


class FakeStore:
    """One object behind every part of the store: `node.store.members` is `node.store`."""

    def __init__(self) -> None:
        self.held: dict[Cid, FakeConversation] = {}
        self.hints: dict[Uid, list[Cid]] = {}
        self.kicked: list[tuple[Uid, SessionId | None]] = []
        self.revoked: dict[Uid, int] = {}
        self.away = False
        self.members = self.conversations = self.cursors = self.presence = self

    def find(self, cid: Cid) -> FakeConversation:
        if self.away:
            raise StoreUnavailable("redis is away")
        if cid not in self.held:
            raise NoSuchConversation(f"no conversation {cid!r}")
        return self.held[cid]

    async def put(self, cid: Cid, changes: dict[str, Any], *, members: list[tuple[Uid, Role]] | None) -> bool:
        created = cid not in self.held
        if not created and members is not None:
            raise Invalid("members are set where a conversation is made")
        conversation = self.held.setdefault(cid, FakeConversation())
        defaults = ConversationSettings()
        given = {name: getattr(defaults, name) if value is None else value for name, value in changes.items()}
        conversation.settings = replace(conversation.settings, **given)
        if members:
            await self.add(cid, members)
        return created

    async def head(self, cid: Cid) -> Head:
        conversation = self.find(cid)
        return Head(
            epoch="1700000000000",
            last_id=conversation.log[-1].id if conversation.log else ZERO_ID,
            floor=1,
            count=len(conversation.log),
            mver=1,
            rev=0,
            members=len(conversation.members),
            settings=conversation.settings,
        )

    async def delete(self, cid: Cid) -> None:
        self.find(cid)
        del self.held[cid]

    async def add(self, cid: Cid, members: list[tuple[Uid, Role]]) -> MemberCounts:
        held = self.find(cid).members
        added = sum(uid not in held for uid, _ in members)
        held.update(members)
        for uid, _ in members:
            self.hints.setdefault(uid, []).append(cid)
        return MemberCounts(added=added, updated=len(members) - added, members=len(held))

    async def remove(self, cid: Cid, uids: list[Uid]) -> MemberCounts:
        held = self.find(cid).members
        removed = sum(held.pop(uid, None) is not None for uid in uids)
        return MemberCounts(removed=removed, members=len(held))

    async def require(self, cid: Cid, uid: Uid) -> Role:
        members = self.find(cid).members
        if uid not in members:
            raise NotAMember(f"{uid!r} is no member of {cid!r}")
        return members[uid]

    async def page(self, cid: Cid, *, after: Uid | None, joined: int | None, limit: int) -> list[MemberRow]:
        members = self.find(cid).members
        listed = sorted(uid for uid in members if after is None or uid > after)[:limit]
        return [MemberRow(user=uid, role=members[uid], joined=0, delivered=0, read=0) for uid in listed]

    async def receipts(self, cid: Cid, seq: int, *, names: bool) -> Receipts:
        if seq > len(self.find(cid).log):
            raise NoSuchMessage(f"seq {seq} is past the head {len(self.find(cid).log)}")
        readers = [uid for uid, read in self.find(cid).read.items() if read >= seq]
        return Receipts(len(readers), len(readers), readers if names else None, readers if names else None)

    async def listed(self, uid: Uid, *, after: Cid | None, limit: int) -> tuple[list[Cid], Cid | None]:
        cids = sorted(cid for cid in self.hints.get(uid, []) if after is None or cid > after)
        return cids[:limit], cids[limit - 1] if len(cids) > limit else None

    async def rows(
        self, uid: Uid, wanted: list[RowRequest], *, unnamed: str, max_backlog: int | None, device: str
    ) -> list[Row | None]:
        assert (unnamed, max_backlog, device) == ("delivered", None, "")
        return [await self._row(uid, request.cid) for request in wanted]

    async def _row(self, uid: Uid, cid: Cid) -> Row | None:
        if cid not in self.held or uid not in self.held[cid].members:
            return None
        head = await self.head(cid)
        role = self.held[cid].members[uid].value
        return Row(
            cid=cid, head=head, role=role, joined=0, delivered=0, read=0, unread=head.count, mentions=0, start=ZERO_ID
        )

    async def forget_hint(self, uid: Uid, cids: list[Cid]) -> None:
        self.hints[uid] = [cid for cid in self.hints[uid] if cid not in cids]

    async def sessions(self, uid: Uid) -> list[SessionRecord]:
        return [
            SessionRecord(
                id=SessionId("s1"),
                uid=uid,
                device="phone",
                node="n1",
                client="app/1",
                connected_at_ms=1_700_000_000_000,
            )
        ]

    async def kick(self, uid: Uid, session: SessionId | None) -> None:
        self.kicked.append((uid, session))

    async def revoke_before(self, uid: Uid, ts: int) -> None:
        self.revoked[uid] = ts

    async def revoked_before(self, uid: Uid) -> int | None:
        return self.revoked.get(uid)


class FakePolicyStore:
    """One document, and how often nodes were told of it."""

    def __init__(self) -> None:
        self.document = PolicyDocument({}, b"")
        self.told = 0
        self.others = 0  # changes that somebody else makes first

    async def read(self) -> PolicyDocument:
        return self.document

    async def replace(self, before: PolicyDocument, overrides: dict[str, Any]) -> bool:
        if self.others:
            self.others -= 1
            self.document = PolicyDocument({**self.document.overrides, "max_deliver": 7}, b"theirs")
        if before.text != self.document.text:
            return False
        self.document = PolicyDocument(overrides, repr(overrides).encode())
        return True

    async def tell(self) -> None:
        self.told += 1


class FakeNode:
    """The part of a node that the web layer calls."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = FakeStore()
        self.id = "n1"
        self.ready = True
        self.policy = Policy(settings, FakePolicyStore(), changed=lambda: None)  # type: ignore[arg-type]
        self.metrics = Metrics()
        self.metrics.appends.inc()
        self.parts = SimpleNamespace(
            allowances=Allowances(self.settings.limits, self.metrics), draining=False, spans=None
        )
        self.attendance = SimpleNamespace(of=self._present)
        self.overview = SimpleNamespace(reports=self._reports, busiest=self._busiest)
        self.asked_pending: dict[str, Any] = {}
        self._ms = itertools.count(1_700_000_000_000)

    async def _present(self, cid: Cid) -> Present:
        members = self.store.find(cid).members
        return Present(len(members), sorted(members)[:1])

    async def _reports(self) -> list[tuple[NodeRecord, Report | None]]:
        going = NodeRecord("n1", 5, {"started_at": 7, "draining": True})
        return [(going, report(sessions=3)), (NodeRecord("n2", 9, {}), None)]

    async def _busiest(self, limit: int) -> list[Busy]:
        return ranked([report(busiest=(busy("team", rate=3.0), busy("tea", rate=9.0)))])[:limit]

    async def send(self, draft: Draft) -> Sent:
        conversation = self.store.find(draft.cid)
        if draft.own:
            assert draft.sender is not None
            await self.store.require(draft.cid, draft.sender)
        for entry in conversation.log:
            if (entry.sender, entry.cmid) == (draft.sender, draft.cmid):
                if entry.body != draft.body:
                    raise CmidConflict(f"another body is stored under cmid {draft.cmid!r}")
                return Sent(draft.cid, draft.cmid, entry.id, True)
        entry = self._entry(draft, len(conversation.log) + 1)
        conversation.log.append(entry)
        return Sent(draft.cid, draft.cmid, entry.id, False)

    def _entry(self, draft: Draft, seq: int) -> Entry:
        ts = next(self._ms)
        return Entry(
            id=LogId(f"{seq}-{ts << 10}"),
            seq=seq,
            ts=ts,
            sender=draft.sender,
            cmid=draft.cmid,
            kind=draft.kind,
            body=draft.body,
            quiet=draft.quiet,
            mentions=draft.mentions,
            ref=draft.ref,
        )

    async def send_many(self, drafts: list[Draft]) -> list[Sent | PushpullError]:
        outcomes: list[Sent | PushpullError] = []
        for draft in drafts:
            try:
                outcomes.append(await self.send(draft))
            except PushpullError as error:
                outcomes.append(error)
        return outcomes

    async def page(self, cid: Cid, *, after: int | None, before: int | None, limit: int, reader: Uid | None) -> Any:
        log = self.store.find(cid).log
        if reader is not None:
            await self.store.require(cid, reader)
        head = len(log)
        if after is not None:
            entries = [entry for entry in log if entry.seq > after][:limit]
            upto, upto_id = (entries[-1].seq, entries[-1].id) if entries else (after, ZERO_ID)
            body = frames.messages(cid, after, upto, upto_id, map(frames.item, entries), head=head, floor=1)
        else:
            below = head + 1 if before is None else before
            entries = [entry for entry in log if entry.seq < below][-limit:]
            body = frames.history(cid, below, map(frames.item, entries), floor=1, more=len(entries) == limit)
        return SimpleNamespace(body=body, etag=f'W/"{head}.{after}.{before}"')

    def ruling_of(self, head: Head, cid: Cid) -> Ruling:
        return Ruling(members=head.members, own=head.settings, seq=head.seq, settings=self.settings.delivery)

    async def move_cursors(self, cid: Cid, uid: Uid, *, delivered: int | None, read: int | None) -> Cursors:
        await self.store.require(cid, uid)
        head = len(self.store.find(cid).log)
        read_to = min(head, max(read or 0, self.store.find(cid).read.get(uid, 0)))
        self.store.find(cid).read[uid] = read_to
        return Cursors(delivered=min(head, delivered or 0), read=read_to, unread=head - read_to, count=head)

    async def pending(self, cid: Cid, **asked: Any) -> dict[str, Any]:
        self.store.find(cid)
        self.asked_pending = asked
        return {"rows": []} if asked["limit"] else {"count": 0, "min": None, "max": None, "consumers": []}

    async def nodes(self) -> list[dict[str, Any]]:
        return [{"node": self.id, **NODE}]

    async def readiness(self) -> Any:
        return SimpleNamespace(ready=self.ready, checks={"redis": "ok" if self.ready else "unreachable"})

    async def check_revoked(self, uid: Uid, issued_at: float | None) -> None:
        before = await self.store.presence.revoked_before(uid)
        if issued_at is not None and before is not None and issued_at < before:
            raise Unauthenticated("token was revoked", reason="token_revoked")

    def row_json(self, row: Row) -> dict[str, Any]:
        return row_json(row, Mode.PUSH)
