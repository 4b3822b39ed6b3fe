"""Deletions of users: asked for once, worked on by one node at a time, gone on with by the next."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pushpull.errors import LimitReached
from pushpull.model import Cid
from pushpull.store import Store, deletions
from pushpull.store.deletions import Deletions
from tests.store.conftest import ALICE, BOB


@pytest.fixture
def short(store: Store) -> Deletions:
    """Deletions whose leases end at once."""
    return Deletions(store._wire, store._keys, lease_s=0)


async def test_a_deletion_that_was_asked_for_waits_for_a_node(store: Store) -> None:
    asked = await store.deletions.ask(ALICE, "redact")
    assert (asked.state, asked.messages, asked.total, asked.error) == ("waiting", "redact", None, None)
    assert (await store.deletions.get(BOB)).state == "none"
    lease = await store.deletions.take()
    assert lease is not None
    assert lease.user == ALICE
    assert await store.deletions.take() is None


async def test_asked_for_again_before_its_end_it_is_the_same(store: Store) -> None:
    first = await store.deletions.ask(ALICE, "redact")
    await store.deletions.note(ALICE, state="running", total=3)
    again = await store.deletions.ask(ALICE, "keep")
    assert (again.messages, again.asked_ms, again.total) == ("redact", first.asked_ms, 3)
    assert await store.deletions.take()
    assert await store.deletions.take() is None


@pytest.mark.parametrize("end", ["done", "failed"])
async def test_asked_for_after_its_end_it_begins_anew(store: Store, client: Any, end: Any) -> None:
    await store.deletions.ask(ALICE, "redact")
    await store.deletions.note(ALICE, total=3, redacted=9)
    await store.deletions.find(ALICE, [Cid("left")])
    await store.deletions.finish(ALICE, end, error="why")
    ended = await store.deletions.get(ALICE)
    assert (ended.state, ended.error, ended.ended_ms is not None) == (end, "why", True)
    assert 0 < await client.ttl("pp:{u:alice}:deletion") <= deletions.KEPT_S

    anew = await store.deletions.ask(ALICE, "keep")

    assert (anew.state, anew.messages, anew.redacted, anew.total) == ("waiting", "keep", 0, None)
    assert (anew.error, anew.left) == (None, 0)
    assert await client.ttl("pp:{u:alice}:deletion") == -1


async def test_asked_for_while_a_node_ends_the_one_before_it_is_not_lost(store: Store) -> None:
    await store.deletions.ask(ALICE, "redact")
    lease = await store.deletions.take()
    assert lease is not None
    await store.deletions.finish(ALICE, "done")
    await store.deletions.ask(ALICE, "keep")
    await store.deletions.end(lease)
    assert await store.deletions.take() is not None


async def test_a_lease_that_has_ended_is_another_nodes(store: Store, short: Deletions) -> None:
    await store.deletions.ask(ALICE, "keep")
    first = await short.take()
    await asyncio.sleep(0.002)  # a lease is told by its end, in ms
    second = await store.deletions.take()
    assert first is not None
    assert second is not None
    assert await store.deletions.keep(first) is None
    await store.deletions.end(first)

    kept = await store.deletions.keep(second)

    assert kept is not None
    assert kept.until > second.until
    await store.deletions.end(kept)
    assert not await store._wire.command("EXISTS", store._keys.deletions())


async def test_what_is_put_off_is_not_taken_before(store: Store) -> None:
    await store.deletions.ask(ALICE, "keep")
    lease = await store.deletions.take()
    assert lease is not None
    assert await store.deletions.keep(lease, for_s=5)
    assert await store.deletions.take() is None


async def test_conversations_are_come_to_once(store: Store) -> None:
    await store.deletions.find(ALICE, [Cid("a"), Cid("b")])
    await store.deletions.find(ALICE, [Cid("b")])
    await store.deletions.find(ALICE, [])
    assert await store.deletions.found(ALICE) == 2
    assert await store.deletions.next(ALICE) == "a"
    await store.deletions.done(ALICE, Cid("a"))
    assert await store.deletions.next(ALICE) == "b"
    await store.deletions.done(ALICE, Cid("b"))
    assert await store.deletions.next(ALICE) is None


async def test_too_many_at_a_time_are_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletions, "MOST_ASKED", 1)
    await store.deletions.ask(ALICE, "keep")
    with pytest.raises(LimitReached, match="1 users are being deleted: the limit is 1"):
        await store.deletions.ask(BOB, "keep")
    assert (await store.deletions.get(BOB)).state == "none"


async def test_a_revocation_is_taken_back_without_a_trace(store: Store, client: Any) -> None:
    await store.presence.revoke_before(ALICE, 5)
    assert await store.presence.revoked_before(ALICE) == 5
    await store.presence.revoke_before(ALICE, 0)
    assert await store.presence.revoked_before(ALICE) is None
    assert not await client.exists("pp:{u:alice}:revoked")
