"""Presence: nodes that beat, sessions that replace one another, revocation."""

from __future__ import annotations

from collections.abc import Callable

from redis.asyncio import Redis

from pushpull.model import SessionId, Uid
from pushpull.store import SessionRecord, Store
from tests.store.conftest import ALICE, BOB


def session(name: str, device: str, node: str = "n1", uid: Uid = ALICE) -> SessionRecord:
    return SessionRecord(id=SessionId(name), uid=uid, device=device, node=node, client="web/1", connected_at_ms=1000)


async def test_sessions_of_live_nodes_are_listed_oldest_first(store: Store) -> None:
    await store.presence.beat("n1", {})
    for each in (session("s1", "phone"), session("s2", "tab"), session("s3", "lost", node="dead")):
        assert await store.presence.open_session(each) == []
    assert await store.presence.sessions(ALICE) == [session("s1", "phone"), session("s2", "tab")]
    assert await store.presence.sessions(BOB) == []


async def test_the_same_device_replaces_its_older_session(store: Store) -> None:
    await store.presence.beat("n1", {})
    await store.presence.open_session(session("s1", "phone"))
    await store.presence.open_session(session("s2", "tab"))
    assert await store.presence.open_session(session("s3", "phone")) == [session("s1", "phone")]
    assert [each.id for each in await store.presence.sessions(ALICE)] == ["s2", "s3"]


async def test_the_oldest_goes_when_there_are_too_many(make_store: Callable[..., Store]) -> None:
    store = make_store(sessions_per_user=2)
    await store.presence.open_session(session("s1", "a"))
    await store.presence.open_session(session("s2", "b"))
    assert await store.presence.open_session(session("s3", "b")) == [session("s2", "b")]
    assert await store.presence.open_session(session("s4", "c")) == [session("s1", "a")]


async def test_a_closed_session_is_gone(store: Store) -> None:
    await store.presence.beat("n1", {})
    await store.presence.open_session(session("s1", "phone"))
    await store.presence.close_session(ALICE, SessionId("s1"))
    assert await store.presence.sessions(ALICE) == []


async def test_nodes_tell_of_themselves_until_they_leave(store: Store) -> None:
    await store.presence.beat("n2", {"sessions": 7})
    await store.presence.beat("n1", {"sessions": 1, "feeds": 2})
    nodes = await store.presence.nodes()
    assert [(node.id, node.info) for node in nodes] == [("n1", {"sessions": 1, "feeds": 2}), ("n2", {"sessions": 7})]
    assert all(node.age_ms < 5000 for node in nodes)
    await store.presence.leave("n1")
    assert [node.id for node in await store.presence.nodes()] == ["n2"]


async def test_a_silent_node_is_dead_and_later_forgotten(store: Store, client: Redis) -> None:
    seconds, _ = await client.time()
    await client.hset("pp:nodes", mapping={"quiet": f"{seconds * 1000 - 20_000} {{}}", "ancient": "1000 {}"})
    assert await store.presence.nodes() == []
    assert await client.hkeys("pp:nodes") == [b"quiet"]


async def test_a_revocation_is_kept(store: Store) -> None:
    assert await store.presence.revoked_before(ALICE) is None
    await store.presence.revoke_before(ALICE, 1_700_000_000)
    assert await store.presence.revoked_before(ALICE) == 1_700_000_000
