"""Append: who may, what is stored once, what an edit or a redaction leaves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from pushpull.errors import (
    CmidConflict,
    CmidExpired,
    Invalid,
    NoSuchConversation,
    NoSuchMessage,
    NotAllowed,
    NotAMember,
    StoreUnavailable,
)
from pushpull.model import Cid, Edited, Kind, Role, Sent, Uid, seq_of, ts_of
from pushpull.store import RowRequest, Store
from tests.store.conftest import ALICE, BOB, CAROL, ROOM
from tests.store.drafts import draft, send, send_many, sent

EDIT = {"kind": Kind.EDIT, "quiet": True}
REDACT = {"kind": Kind.REDACT, "quiet": True, "body": b"null"}


async def test_seqs_are_dense_and_ids_carry_redis_time(store: Store, client: Redis) -> None:
    ids = await send_many(store, 3)
    assert [seq_of(each) for each in ids] == [1, 2, 3]
    seconds, _ = await client.time()
    assert abs(ts_of(ids[0]) - seconds * 1000) < 5000


async def test_an_entry_comes_back_as_it_was_sent(store: Store) -> None:
    body = '{"text": "ünïcode, and  two blanks"}'.encode()
    await send(store, "m1", body=body, mentions=("bob", "carol"))
    await send(store, "m2", sender=None, own=False, kind="sys.note", ref=1, quiet=True)
    first, second = (await store.log.read(ROOM, after=0)).entries
    assert (first.sender, first.cmid, first.kind, first.body) == (ALICE, "m1", "message", body)
    assert (first.mentions, first.ref, first.quiet) == (("bob", "carol"), None, False)
    assert (second.sender, second.kind, second.ref, second.quiet) == (None, "sys.note", 1, True)


async def test_a_retry_is_stored_once_and_says_so(store: Store) -> None:
    first, again = await sent(store, "m1"), await sent(store, "m1")
    assert (first.dup, again.dup, again.id) == (False, True, first.id)
    assert (await store.conversations.head(ROOM)).seq == 1


async def test_a_retry_in_the_same_call_is_stored_once(store: Store) -> None:
    first, again = await store.log.append([draft("m1"), draft("m1")])
    assert isinstance(first, Sent)
    assert isinstance(again, Sent)
    assert (again.id, again.dup) == (first.id, True)


@pytest.mark.parametrize(
    "change",
    [{"body": b"2"}, {"kind": "poll"}, {"mentions": ("bob",)}, {"ref": 1}],
    ids=["body", "kind", "mentions", "ref"],
)
async def test_another_message_under_a_stored_cmid_is_a_conflict(store: Store, change: dict[str, object]) -> None:
    first = await send(store, "m1")
    with pytest.raises(CmidConflict, match=f"cmid m1 is stored as {first}"):
        await send(store, "m1", **change)


async def test_cmids_of_two_senders_do_not_meet(store: Store) -> None:
    await send(store, "m1")
    other = await sent(store, "m1", sender=BOB)
    service = await sent(store, "m1", sender=None, own=False)
    assert (other.dup, service.dup) == (False, False)


async def test_a_dup_is_found_in_the_bucket_before(client: Redis, make_store: Callable[..., Store]) -> None:
    store = make_store(window_s=3600)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
    log_id = await send(store, "m1")
    bucket = ts_of(log_id) // 3_600_000
    await client.rename(f"pp:{{c:room}}:cmid:{bucket}", f"pp:{{c:room}}:cmid:{bucket - 1}")
    assert (await sent(store, "m1")).dup


async def test_a_bucket_expires_after_two_windows(store: Store, client: Redis) -> None:
    log_id = await send(store, "m1")
    left_ms = await client.pttl(f"pp:{{c:room}}:cmid:{ts_of(log_id) // 3_600_000}")
    assert 7_190_000 < left_ms <= 7_200_000


async def test_a_clock_that_is_off_finds_the_right_bucket(store: Store) -> None:
    store.log._clock = lambda: 1000.0
    first, again = await sent(store, "m1"), await sent(store, "m1")
    assert (first.dup, again.dup) == (False, True)


async def set_ahead(client: Redis, cid: Cid, ahead_s: int) -> None:
    """What a clock that was ahead by so much, and went back, leaves behind: an entry of the future."""
    seconds, _ = await client.time()
    await client.hset(f"pp:{{c:{cid}}}:meta", "last", f"0-{(seconds + ahead_s) * 1000 * 1024}")


async def test_ids_rise_and_repetitions_are_found_after_the_clock_went_back(store: Store, client: Redis) -> None:
    await set_ahead(client, ROOM, 36_000)
    first, second, again = await sent(store, "m1"), await sent(store, "m2"), await sent(store, "m1")
    assert (again.dup, again.id) == (True, first.id)
    assert ts_of(first.id) == ts_of(second.id)
    assert (seq_of(first.id), seq_of(second.id)) == (1, 2)


async def test_logs_that_are_ahead_by_more_and_less_are_appended_to_together(store: Store, client: Redis) -> None:
    cids = [Cid(f"c{hours}") for hours in range(6)]
    for hours, cid in enumerate(cids):
        await store.conversations.put(cid, {}, members=[(ALICE, Role.MEMBER)])
        await set_ahead(client, cid, hours * 3_600)
    found = await store.log.append([draft("m1", cid=cid) for cid in cids])
    assert [isinstance(each, Sent) for each in found] == [True] * len(cids)


async def test_a_bucket_that_fills_for_longer_than_a_window_lives_on(store: Store, client: Redis) -> None:
    await set_ahead(client, ROOM, 36_000)
    bucket = f"pp:{{c:room}}:cmid:{ts_of(await send(store, 'm1')) // 3_600_000}"
    await client.pexpire(bucket, 60_000)
    await send(store, "m2")
    assert await client.pttl(bucket) > 7_190_000


async def test_a_send_tried_before_the_window_is_refused_unless_it_is_stored(store: Store) -> None:
    now_ms = ts_of(await send(store, "m1"))
    assert (await sent(store, "m1", first_at=now_ms - 3_700_000)).dup
    assert not (await sent(store, "m2", first_at=now_ms - 3_500_000)).dup
    with pytest.raises(CmidExpired, match=r"cmid m3 was first tried 37\d+ ms ago: expected at most 3600000 ms"):
        await send(store, "m3", first_at=now_ms - 3_700_000)


async def test_an_unknown_conversation_is_named(store: Store) -> None:
    with pytest.raises(NoSuchConversation, match="conversation nowhere does not exist"):
        await send(store, "m1", cid=Cid("nowhere"))


async def test_a_cid_named_proto_is_one_like_any_other(store: Store) -> None:
    cid = Cid("__proto__")
    await store.conversations.put(cid, {}, members=[(Uid("__proto__"), Role.MEMBER)])
    await send(store, "m1", cid=cid, sender=Uid("__proto__"))
    assert (await store.log.read(cid, after=0)).entries[0].sender == "__proto__"


async def test_one_who_is_no_member_may_not_send(store: Store) -> None:
    with pytest.raises(NotAMember, match="user mallory is not a member of room"):
        await send(store, "m1", sender=Uid("mallory"))


async def test_a_reader_may_not_send(store: Store) -> None:
    with pytest.raises(NotAllowed, match="user carol is a reader"):
        await send(store, "m1", sender=CAROL)


async def test_a_server_key_sends_in_anyones_name(store: Store) -> None:
    assert not (await sent(store, "m1", sender=Uid("mallory"), own=False)).dup


@pytest.mark.parametrize("ref", [0, -1, 2, 10**12])
async def test_a_ref_must_be_a_message(store: Store, ref: int) -> None:
    await send(store, "m1")
    with pytest.raises(NoSuchMessage, match=f"ref {ref} is no message that room still has: its head is 1"):
        await send(store, "m2", ref=ref)


async def test_a_plain_ref_may_name_what_is_gone(store: Store) -> None:
    await send(store, "m1")
    await send(store, "redact:1", ref=1, **REDACT)
    assert not (await sent(store, "m2", ref=1)).dup


@pytest.mark.parametrize("kind", [Kind.EDIT, Kind.REACTION, Kind.REDACT])
async def test_edit_reaction_and_redact_need_a_message_that_is_there(store: Store, kind: str) -> None:
    await send(store, "m1")
    with pytest.raises(Invalid, match=f"kind {kind} needs a ref"):
        await send(store, "x", kind=kind, quiet=True)
    await send(store, "redact:1", ref=1, **REDACT)
    with pytest.raises(NoSuchMessage):
        await send(store, "y", kind=kind, quiet=True, ref=1)


async def test_what_is_below_the_floor_cannot_be_edited(store: Store) -> None:
    await store.conversations.put(ROOM, {"retain_messages": 2})
    await send_many(store, 3)
    with pytest.raises(NoSuchMessage, match="ref 1 is no message that room still has"):
        await send(store, "e1", ref=1, **EDIT)


async def test_an_edit_is_folded_into_what_it_edits(store: Store) -> None:
    await send_many(store, 2)
    await send(store, "e1", ref=1, body=b'"two"', **EDIT)
    log_id = await send(store, "e2", ref=1, body=b'"three"', **EDIT)
    read = await store.log.read(ROOM, after=0, limit=2)
    assert [entry.body for entry in read.entries] == [b'"three"', b'{"text":"hi"}']
    assert read.entries[0].edited == Edited(4, ts_of(log_id))
    assert (read.entries[1].edited, read.head.rev) == (None, 2)
    back = await store.log.read_before(ROOM, limit=4)
    assert [entry.body for entry in back.entries] == [b'"three"', b'{"text":"hi"}', b'"two"', b'"three"']


async def test_only_the_sender_edits(store: Store) -> None:
    await send(store, "m1")
    with pytest.raises(NotAllowed, match="user bob may not edit message 1"):
        await send(store, "e1", sender=BOB, ref=1, **EDIT)


async def test_an_edit_cannot_be_edited(store: Store) -> None:
    await send(store, "m1")
    await send(store, "e1", ref=1, **EDIT)
    with pytest.raises(Invalid, match="ref 2 is of kind edit"):
        await send(store, "e2", ref=2, **EDIT)


async def test_a_redaction_takes_the_message_and_all_its_edits(store: Store, client: Redis) -> None:
    await send(store, "m1", body=b'"secret"', mentions=("bob",))
    await send(store, "e1", ref=1, body=b'"secret 2"', **EDIT)
    await send(store, "e2", ref=1, body=b'"secret 3"', **EDIT)
    await send(store, "redact:1", ref=1, **REDACT)
    read = await store.log.read(ROOM, after=0)
    assert [(entry.seq, entry.kind, entry.ref) for entry in read.entries] == [(4, "redact", 1)]
    assert read.head.rev == 3
    assert await client.hgetall("pp:{c:room}:edits") == {}
    assert sorted(await client.hkeys("pp:{c:room}:redacted")) == [b"1", b"2", b"3"]
    row = (await store.conversations.rows(BOB, [RowRequest(ROOM)]))[0]
    assert row is not None
    assert (row.unread, row.mentions) == (1, 0)


async def test_the_sender_a_moderator_and_the_server_redact(store: Store) -> None:
    await send_many(store, 3)
    await send(store, "redact:1", ref=1, **REDACT)
    await send(store, "redact:2", ref=2, sender=BOB, **REDACT)
    await send(store, "redact:3", ref=3, sender=None, own=False, **REDACT)
    await send(store, "b", sender=BOB)
    with pytest.raises(NotAllowed, match="user alice may not redact message 7"):
        await send(store, "redact:7", ref=7, **REDACT)


async def test_a_redaction_cannot_be_redacted(store: Store) -> None:
    await send(store, "m1")
    await send(store, "redact:1", ref=1, **REDACT)
    with pytest.raises(Invalid, match="ref 2 is of kind redact"):
        await send(store, "redact:2", ref=2, **REDACT)


async def test_a_retried_redaction_is_a_dup_though_its_target_is_gone(store: Store) -> None:
    await send(store, "m1")
    await send(store, "redact:1", ref=1, **REDACT)
    assert (await sent(store, "redact:1", ref=1, **REDACT)).dup


async def test_a_send_moves_read_and_delivered_only_if_nothing_is_missing(store: Store) -> None:
    await send(store, "m1")
    await send(store, "m2", sender=BOB)
    alice, bob = await store.cursors.get(ROOM, ALICE), await store.cursors.get(ROOM, BOB)
    assert alice is not None
    assert bob is not None
    assert (alice.delivered, alice.read, alice.unread) == (1, 1, 1)
    assert (bob.delivered, bob.read, bob.unread) == (0, 2, 0)


async def test_quiet_messages_and_server_keys_move_no_cursor(store: Store) -> None:
    await send(store, "m1", quiet=True)
    await send(store, "m2", own=False)
    alice = await store.cursors.get(ROOM, ALICE)
    assert alice is not None
    assert (alice.delivered, alice.read, alice.unread, alice.count) == (0, 0, 1, 1)


async def test_drafts_of_many_conversations_come_back_in_order(store: Store) -> None:
    other = Cid("other")
    await store.conversations.put(other, {}, members=[(ALICE, Role.MEMBER)])
    results = await store.log.append(
        [draft("1"), draft("2", cid=other), draft("3"), draft("4", cid=Cid("no")), draft("5", cid=other)]
    )
    assert [getattr(result, "cmid", type(result)) for result in results] == ["1", "2", "3", NoSuchConversation, "5"]
    assert [entry.cmid for entry in (await store.log.read(other, after=0)).entries] == ["2", "5"]


async def test_what_is_behind_a_failed_send_of_its_chain_fails_too(store: Store) -> None:
    await send(store, "used")
    results = await store.log.append(
        [
            draft("a1", chain="a"),
            draft("used", chain="a", body=b"0"),
            draft("b1", chain="b"),
            draft("a2", chain="a"),
            draft("c1"),
        ]
    )
    assert [type(result) for result in results] == [Sent, CmidConflict, Sent, StoreUnavailable, Sent]
    assert str(results[3]) == "a send before it failed; retry with the same cmid"
