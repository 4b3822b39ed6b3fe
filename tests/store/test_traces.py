"""What the store tells of one message and one user, and how it finds a message by its cmid."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from pushpull.errors import NoSuchConversation
from pushpull.model import Cid, Prefs, Role, Uid, ts_of
from pushpull.store import Store, traces
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import send, send_many

HOUR_MS = 3_600_000


async def test_a_stored_message_is_told_without_its_body(store: Store) -> None:
    log_id = await send(store, "c1", mentions=("bob",))

    found = await store.traces.look(ROOM, BOB, 1)

    assert found.entry is not None
    assert (found.entry.id, found.entry.sender, found.entry.cmid) == (log_id, ALICE, "c1")
    assert (found.entry.mentions, found.entry.body) == (("bob",), b"")
    assert found.head.seq == 1
    assert abs(found.now_ms - ts_of(log_id)) < 60_000


async def test_an_edit_is_told_without_its_body(store: Store) -> None:
    await send(store, "c1")
    edit = await send(store, "c2", kind="edit", ref=1, quiet=True)

    entry = (await store.traces.look(ROOM, BOB, 1)).entry

    assert entry is not None
    assert entry.edited is not None
    assert (entry.edited.seq, entry.edited.ts, entry.body) == (2, ts_of(edit), b"")


async def test_of_a_redacted_message_its_id_is_known(store: Store) -> None:
    log_id = await send(store, "c1")
    await send(store, "c2", kind="redact", ref=1, quiet=True)

    found = await store.traces.look(ROOM, BOB, 1)

    assert (found.entry, found.redacted, found.redactions) == (None, log_id, 1)


async def test_a_member_with_cursors_role_and_wishes(store: Store) -> None:
    await send_many(store, 3)
    await store.absences.prefer(ROOM, CAROL, notify="mentions", mute_until=9_000)

    found = await store.traces.look(ROOM, CAROL, None)
    assert (found.joined, found.role, found.delivered, found.read) == (0, Role.READER, 0, 0)
    assert (found.prefs, found.told) == (Prefs("mentions", 9_000), None)


async def test_who_is_no_member_has_nothing(store: Store) -> None:
    found = await store.traces.look(ROOM, Uid("dave"), None)
    assert (found.joined, found.delivered, found.read, found.prefs) == (None, None, None, Prefs())


async def test_who_was_notified_is_told(store: Store) -> None:
    await send(store, "c1")
    (look,) = await store.absences.look([ROOM])
    assert look is not None
    assert not isinstance(look, Exception)
    await store.absences.claim(ROOM, "event", look, [who for who in look.absent if who.uid == BOB])

    assert (await store.traces.look(ROOM, BOB, 1)).told == 1
    assert (await store.traces.look(ROOM, CAROL, 1)).told is None


async def test_a_conversation_that_is_not_there_is_said_to_be_so(store: Store) -> None:
    with pytest.raises(NoSuchConversation):
        await store.traces.look(Cid("nowhere"), BOB, 1)
    with pytest.raises(NoSuchConversation):
        await store.traces.by_cmid(Cid("nowhere"), "c1", None)


# ------------------------------------------------------------------------------------------------ by cmid


async def test_a_cmid_is_found_whoever_sent_it(store: Store) -> None:
    mine = await send(store, "c1")
    of_the_service = await send(store, "c2", sender=None, own=False)

    assert (await store.traces.by_cmid(ROOM, "c1", None)).found == [(ALICE, mine)]
    assert (await store.traces.by_cmid(ROOM, "c2", None)).found == [(None, of_the_service)]


async def test_a_cmid_is_its_senders_own(store: Store) -> None:
    first, second = await send(store, "c1"), await send(store, "c1", sender=BOB)

    assert (await store.traces.by_cmid(ROOM, "c1", BOB)).found == [(BOB, second)]
    assert (await store.traces.by_cmid(ROOM, "c1", None)).found == [(BOB, second), (ALICE, first)]


async def test_of_who_has_left_the_cmid_is_found(store: Store) -> None:
    await send(store, "c1")
    log_id = await send(store, "c2")
    await store.members.remove(ROOM, [ALICE])

    assert (await store.traces.by_cmid(ROOM, "c2", None)).found == [(ALICE, log_id)]
    left = await store.traces.look(ROOM, ALICE, None)
    assert (left.joined, left.past) == (None, 2)


async def test_a_cmid_that_its_table_has_forgotten_is_found_in_the_log(store: Store, client: Redis) -> None:
    log_id = await send(store, "c1")
    await send(store, "c2")
    await client.delete(f"pp:{{c:room}}:cmid:{ts_of(log_id) // HOUR_MS}")

    assert (await store.traces.by_cmid(ROOM, "c1", None)).found == [(ALICE, log_id)]
    assert (await store.traces.by_cmid(ROOM, "c1", BOB)).found == []


async def test_a_redacted_message_is_found_by_its_cmid(store: Store) -> None:
    log_id = await send(store, "c1")
    await send(store, "c2", kind="redact", ref=1, quiet=True)

    assert (await store.traces.by_cmid(ROOM, "c1", None)).found == [(ALICE, log_id)]


async def test_a_cmid_that_nobody_used_is_looked_for_everywhere(store: Store) -> None:
    await send_many(store, 3)

    search = await store.traces.by_cmid(ROOM, "c9", None)

    assert (search.found, search.from_seq, search.senders) == ([], 1, 4)
    assert HOUR_MS <= int(time.time() * 1000) - search.since_ms < 2 * HOUR_MS


async def test_what_is_trimmed_is_not_looked_at(make_store: Callable[..., Store], client: Redis) -> None:
    store = make_store(retained=3)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    first = (await send_many(store, 10))[0]
    await client.delete(f"pp:{{c:room}}:cmid:{ts_of(first) // HOUR_MS}")

    assert (await store.traces.by_cmid(ROOM, "m8", None)).found != []
    trimmed = await store.traces.by_cmid(ROOM, "m1", None)
    assert (trimmed.found, trimmed.from_seq) == ([], 8)


async def test_a_long_log_is_looked_through_in_pieces_up_to_a_bound(
    store: Store, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "SCANNED_AT_ONCE", 2)
    monkeypatch.setattr(traces, "SCANNED_MAX", 6)
    ids = await send_many(store, 9)
    await client.delete(f"pp:{{c:room}}:cmid:{ts_of(ids[0]) // HOUR_MS}")

    assert (await store.traces.by_cmid(ROOM, "m4", None)).found == [(ALICE, ids[3])]
    too_old = await store.traces.by_cmid(ROOM, "m3", None)
    assert (too_old.found, too_old.from_seq) == ([], 4)


# ------------------------------------------------------------------------------------------------ asked of nodes, jobs


async def test_answers_to_a_question_are_kept_for_a_while(store: Store, client: Redis) -> None:
    await store.questions.answer("q1", "n1", b"one")
    await store.questions.answer("q1", "n2", b"two")

    assert await store.questions.answers("q1") == {"n1": b"one", "n2": b"two"}
    assert await store.questions.answers("q2") == {}
    assert 0 < await client.pttl("pp:answers:q1") <= 10_000


async def test_the_offline_jobs_of_one_conversation(store: Store) -> None:
    other = Cid("other")
    await store.jobs.mark([ROOM, other], delay_s=0)
    of = await store.jobs.of(ROOM)
    assert of.due_at_ms is not None
    assert (of.job, of.tries, of.letters) == (False, 0, [])

    jobs = {job.cid: job for job in await store.jobs.take("n1", most=8)}
    assert (await store.jobs.of(ROOM)).job
    for job in jobs.values():
        await store.jobs.bury(job, "http status 500", tries=10)
    of = await store.jobs.of(ROOM)
    assert (of.due_at_ms, of.job) == (None, False)
    assert [(letter.cid, letter.why, letter.tries) for letter in of.letters] == [(ROOM, "http status 500", 10)]
