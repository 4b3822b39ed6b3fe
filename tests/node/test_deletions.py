"""The worker that deletes users: what it does when something fails, and when another has taken over."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from pushpull.errors import StoreUnavailable
from pushpull.model import Cid, Role, Uid
from pushpull.node import deletions
from pushpull.node.deletions import Deletions
from pushpull.node.metrics import Metrics
from pushpull.settings import Settings
from pushpull.store import Store
from pushpull.store.deletions import Deletion, Lease

ALICE, ROOM = Uid("alice"), Cid("room")


@pytest.fixture
async def store(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(deletions, "REST", 0.0)
    store = await Store.open(Settings(), url=redis_url)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (Uid("bob"), Role.MEMBER)])
    yield store
    await store.aclose()


async def away(*args: object, **named: object) -> None:
    raise StoreUnavailable("redis does not answer in time")


async def taken_again(store: Store) -> None:
    """As if the time had passed until somebody may take it."""
    await store._wire.command("ZADD", store._keys.deletions(), "XX", 0, ALICE)


async def stands(store: Store) -> Deletion:
    return await store.deletions.get(ALICE)


async def test_with_nobody_to_delete_nothing_happens(store: Store) -> None:
    await Deletions(store, Metrics()).round()
    assert (await stands(store)).state == "none"


async def test_one_round_deletes_one_user(store: Store) -> None:
    await store.deletions.ask(ALICE, "redact")
    await Deletions(store, Metrics()).round()
    done = await stands(store)
    assert (done.state, done.total, done.left, done.tries) == ("done", 1, 0, 0)
    assert await store.members.role(ROOM, ALICE) is None
    assert await store.deletions.take() is None


async def test_what_fails_is_said_and_tried_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.deletions.ask(ALICE, "redact")
    with monkeypatch.context() as patched:
        patched.setattr(store.erasure, "forget_row", away)
        for tries in (1, 2):
            await taken_again(store)
            await Deletions(store, Metrics()).round()
            failing = await stands(store)
            assert (failing.state, failing.error, failing.tries) == ("running", "redis does not answer in time", tries)
            assert await store.deletions.take() is None, "it rests"
    await taken_again(store)

    await Deletions(store, Metrics()).round()

    done = await stands(store)
    assert (done.state, done.error, done.tries) == ("done", None, 0)


async def test_what_always_fails_is_given_up_and_goes_on_when_asked_for_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "TRIES_MAX", 2)
    ended = (metrics := Metrics()).deletions_ended
    await store.deletions.ask(ALICE, "redact")
    with monkeypatch.context() as patched:
        patched.setattr(store.erasure, "forget_row", away)
        for _ in range(2):
            await taken_again(store)
            await Deletions(store, metrics).round()
    assert ((await stands(store)).state, (await stands(store)).error) == ("failed", "redis does not answer in time")
    assert (ended.labels("failed").value, ended.labels("done").value) == (1, 0)
    assert await store.deletions.take() is None

    await store.deletions.ask(ALICE, "redact")
    await Deletions(store, metrics).round()
    assert (ended.labels("failed").value, ended.labels("done").value) == (1, 1)

    assert (await stands(store)).state == "done"


async def test_who_has_lost_the_lease_stops_at_once_and_says_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletions, "RENEW_S", -1.0)  # asked after each step
    await store.deletions.ask(ALICE, "redact")
    lease = await store.deletions.take()
    assert lease is not None
    await taken_again(store)
    others = await store.deletions.take()

    with pytest.raises(deletions.LeaseLost):
        await deletions._Work(store, Lease(ALICE, lease.until - 1), Metrics()).run()

    assert (await stands(store)).error is None
    assert others is not None
    assert await store.deletions.keep(others), "the other goes on"


async def test_a_lease_for_what_has_ended_already_is_given_back(store: Store) -> None:
    await store.deletions.ask(ALICE, "redact")
    await store.deletions.finish(ALICE, "done")
    await Deletions(store, Metrics()).round()
    assert not await store._wire.command("EXISTS", store._keys.deletions())
