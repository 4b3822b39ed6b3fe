"""Nothing the store sends is refused by Redis Cluster: scripts and pipelines keep to one hash tag per key set."""

from __future__ import annotations

from collections.abc import Callable

from pushpull.model import Cid, Role, SessionId, Uid
from pushpull.settings import Settings
from pushpull.store import (
    CursorMove,
    PendingRow,
    RowRequest,
    SessionRecord,
    Store,
)
from pushpull.store.values import JobCounts, Look
from tests import servers
from tests.store.conftest import ALICE, BOB
from tests.store.drafts import draft, send

StartCluster = Callable[..., servers.RedisCluster]

DAVE = Uid("dave")
CIDS = [Cid(f"room{i}") for i in range(12)]


async def everything(store: Store) -> None:
    """Call each script and pipeline of the store at least once, over many slots."""
    for cid in CIDS:
        await store.conversations.put(cid, {"mode": "push"}, members=[(ALICE, Role.MEMBER), (BOB, Role.MODERATOR)])
    results = await store.log.append(
        [draft(f"{cid}-{i}", cid=cid, mentions=("bob",)) for i in range(3) for cid in CIDS]
    )
    assert not [result for result in results if isinstance(result, Exception)]
    for cid in CIDS:
        await send(store, "e", cid=cid, kind="edit", ref=1, quiet=True)
        await send(store, "r", cid=cid, kind="redact", ref=1, quiet=True)
        await store.conversations.put(cid, {"retain_messages": 2})
        noted = PendingRow(
            user=BOB, device="d", session="s", first=1, last=2, delivery_count=2, first_sent_ms=1, last_sent_ms=2
        )
        await store.pending.note(cid, [noted])
        assert len(await store.pending.rows(cid)) == 1
        assert (await store.pending.summary(cid)).count > 0
        assert len((await store.log.read_before(cid)).entries) == 3
        assert await store.sweeper.sweep(cid) == 3
        assert len(await store.members.page(cid)) == 2
        assert (await store.members.remove(cid, [ALICE])).members == 1
        assert (await store.cursors.receipts(cid, 4, names=True)).delivered == 0
    rows = await store.conversations.rows(BOB, [RowRequest(cid) for cid in CIDS], device="d")
    assert [row.unread for row in rows if row] == [0] * len(CIDS)
    flushed = await store.cursors.flush({cid: [CursorMove(uid=BOB, delivered="5")] for cid in CIDS})
    assert [cursors[0].delivered for cursors in flushed.values() if cursors[0]] == [5] * len(CIDS)
    assert [head.seq for head in await store.log.heads(CIDS) if head] == [5] * len(CIDS)
    await store.log.move_epoch(CIDS[0], (await store.conversations.head(CIDS[0])).epoch)
    await store.nodes.beat("n1", {})
    for node in CIDS:
        await store.reports.say(node, b"{}")
    assert await store.reports.of([*CIDS, "n2"]) == [b"{}"] * len(CIDS) + [None]
    await store.presence.open_session(
        SessionRecord(id=SessionId("s"), uid=BOB, device="d", node="n1", client="c", connected_at_ms=1)
    )
    assert len(await store.presence.sessions(BOB)) == 1
    await store.presence.revoke_before(BOB, 1)
    await store.members.add(CIDS[0], [(Uid(f"u{i}"), Role.MEMBER) for i in range(300)])
    await offline(store)
    await deletion(store)
    for cid in CIDS:
        await store.conversations.delete(cid)
    assert await store.conversations.listed(BOB) == ([], None)


async def deletion(store: Store) -> None:
    await store.deletions.ask(DAVE, "redact")
    lease = await store.deletions.take()
    assert lease is not None
    lease = await store.deletions.keep(lease)
    assert lease is not None
    for cid in CIDS:
        await send(store, "named", cid=cid, sender=DAVE, own=False, mentions=("bob",))
        await send(store, "mentioned", cid=cid, sender=BOB, mentions=("dave", "bob"))
    async for some in store.erasure.every():
        await store.deletions.find(DAVE, await store.erasure.naming(DAVE, some))
    assert await store.deletions.found(DAVE) == len(CIDS)
    while (cid := await store.deletions.next(DAVE)) is not None:
        assert [step async for step in store.erasure.forget(cid, DAVE)]
        assert sum([entries async for entries in store.erasure.redact(cid, DAVE)]) == 1
        assert [step async for step in store.erasure.rewrite(cid, DAVE, token="t")]
        await store.erasure.forget_row(cid, DAVE)
        assert await store.erasure.naming(DAVE, [cid]) == []
        assert [entry.sender for entry in (await store.log.read(cid, after=5)).entries] == [BOB, None]
        await store.deletions.done(DAVE, cid)
    await store.deletions.forget(DAVE)
    await store.deletions.finish(DAVE, "done")
    await store.deletions.end(lease)


async def offline(store: Store) -> None:
    assert await store.jobs.mark(CIDS, delay_s=0) == [0] * len(CIDS)
    jobs = await store.jobs.take("w", most=100)
    assert sorted(job.cid for job in jobs) == sorted(CIDS)
    for job, look in zip(jobs, await store.absences.look([job.cid for job in jobs]), strict=True):
        assert isinstance(look, Look)
        await store.absences.prefer(job.cid, BOB, notify="mentions", mute_until=1)
        assert await store.absences.claim(job.cid, "e", look, look.absent)
        assert await store.absences.claimed(job.cid)
        assert await store.jobs.keep("w", job)
        assert await store.absences.settle(job.cid, "e")
    done, retried, buried = jobs[:4], jobs[4:8], jobs[8:]
    await store.jobs.finish(done)
    for job in retried:
        await store.jobs.retry(job, delay_s=9, tries=1)
    for job in buried:
        await store.jobs.bury(job, "why", tries=1)
    assert await store.jobs.counts() == JobCounts(due=4, waiting=0, pending=0, dead=4)
    assert len(await store.jobs.dead(limit=9)) == await store.jobs.requeue() == 4
    await store.jobs.forget_workers()


async def test_a_cluster_finds_no_undeclared_key(cluster_url: str) -> None:
    store = await Store.open(Settings(), url=cluster_url)
    await everything(store)
    await store.aclose()
