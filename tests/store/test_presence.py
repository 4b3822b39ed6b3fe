"""Presence: nodes that beat, sessions that replace one another, revocation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from redis.asyncio import Redis

from pushpull.model import SessionId, Uid
from pushpull.store import Opened, SessionRecord, Standing, Store
from tests.store.conftest import ALICE, BOB


def session(name: str, device: str, node: str = "n1", uid: Uid = ALICE) -> SessionRecord:
    return SessionRecord(id=SessionId(name), uid=uid, device=device, node=node, client="web/1", connected_at_ms=1000)


ALONE = Opened([], frozenset())
FINE = Standing(revoked_before=None, kicked=False, replaced=False, listed=True, elsewhere=frozenset())


async def replaced(store: Store, entering: SessionRecord) -> list[str]:
    """Whom a session replaces on its own node."""
    return [each.id for each in (await store.presence.open_session(entering)).replaced]


async def listed(store: Store, uid: Uid = ALICE) -> list[str]:
    return [each.id for each in await store.presence.sessions(uid)]


async def silence(client: Redis, node: str, ms: int = 7_000) -> None:
    """The node beat last so long ago."""
    seconds, _ = await client.time()
    await client.hset("pp:nodes", node, f"{seconds * 1000 - ms} {{}}")


async def test_one_whose_connection_was_lost_while_it_was_entered_replaces_nobody(store: Store) -> None:
    for node in ("n1", "n2"):
        await store.nodes.beat(node, {})
    await store.presence.open_session(session("s1", "phone", "n1"))
    said = await store.presence.last_announced()

    assert await store.presence.open_session(session("s2", "phone", "n2"), still=lambda: False) == ALONE

    assert await listed(store) == ["s1"]
    assert await store.presence.last_announced() == said


async def test_sessions_of_live_nodes_are_listed_oldest_first(store: Store) -> None:
    await store.nodes.beat("n1", {})
    for each in (session("s1", "phone"), session("s2", "tab"), session("s3", "lost", node="dead")):
        assert await replaced(store, each) == []
    assert await store.presence.sessions(ALICE) == [session("s1", "phone"), session("s2", "tab")]
    assert await store.presence.sessions(BOB) == []


async def test_the_same_device_replaces_its_older_session(store: Store) -> None:
    await store.nodes.beat("n1", {})
    await store.presence.open_session(session("s1", "phone"))
    await store.presence.open_session(session("s2", "tab"))
    assert await replaced(store, session("s3", "phone")) == ["s1"]
    assert [each.id for each in await store.presence.sessions(ALICE)] == ["s2", "s3"]


async def test_the_oldest_goes_when_there_are_too_many(make_store: Callable[..., Store]) -> None:
    store = make_store(sessions_per_user=2)
    await store.nodes.beat("n1", {})
    await store.presence.open_session(session("s1", "a"))
    await store.presence.open_session(session("s2", "b"))
    assert await replaced(store, session("s3", "b")) == ["s2"]
    assert await replaced(store, session("s4", "c")) == ["s1"]


async def test_a_closed_session_is_gone(store: Store) -> None:
    await store.nodes.beat("n1", {})
    await store.presence.open_session(session("s1", "phone"))
    await store.presence.close_session(ALICE, SessionId("s1"))
    assert await store.presence.sessions(ALICE) == []


async def test_nodes_tell_of_themselves_until_they_leave(store: Store) -> None:
    await store.nodes.beat("n2", {"sessions": 7})
    await store.nodes.beat("n1", {"sessions": 1, "feeds": 2})
    nodes = await store.nodes.alive()
    assert [(node.id, node.info) for node in nodes] == [("n1", {"sessions": 1, "feeds": 2}), ("n2", {"sessions": 7})]
    assert all(node.age_ms < 5000 for node in nodes)
    await store.nodes.leave("n1")
    assert [node.id for node in await store.nodes.alive()] == ["n2"]


async def test_a_silent_node_is_dead_and_later_forgotten(store: Store, client: Redis) -> None:
    seconds, _ = await client.time()
    await client.hset("pp:nodes", mapping={"quiet": f"{seconds * 1000 - 20_000} {{}}", "ancient": "1000 {}"})
    assert await store.nodes.alive() == []
    assert await client.hkeys("pp:nodes") == [b"quiet"]


async def test_a_revocation_is_kept(store: Store) -> None:
    assert await store.presence.revoked_before(ALICE) is None
    await store.presence.revoke_before(ALICE, 1_700_000_000)
    assert await store.presence.revoked_before(ALICE) == 1_700_000_000


# ---------------------------------------------------------------------------------------------------- several nodes


async def test_a_session_learns_on_which_other_nodes_its_user_is(store: Store) -> None:
    for node in ("n1", "n2", "n3"):
        await store.nodes.beat(node, {})
    await store.presence.open_session(session("s1", "phone", "n1"))
    await store.presence.open_session(session("s2", "tab", "n2"))

    assert await store.presence.open_session(session("s3", "desk", "n2")) == Opened([], frozenset({"n1"}))
    assert await store.presence.open_session(session("s4", "phone", "n3")) == Opened([], frozenset({"n2"}))


async def test_one_that_is_replaced_on_another_node_is_marked_for_it(store: Store) -> None:
    await store.nodes.beat("n1", {})
    await store.nodes.beat("n2", {})
    first = session("s1", "phone", "n1")
    await store.presence.open_session(first)

    assert await store.presence.open_session(session("s2", "phone", "n2")) == ALONE

    (standing,) = await store.presence.standings([first])
    assert (standing.replaced, standing.kicked, standing.listed) == (True, False, False)
    assert standing.elsewhere == {"n2"}


async def test_rows_of_a_dead_node_neither_count_nor_are_replaced_and_are_taken_off(
    make_store: Callable[..., Store], client: Redis
) -> None:
    store = make_store(sessions_per_user=2)
    await store.nodes.beat("n1", {})
    await store.nodes.beat("killed", {})
    for device in ("a", "b"):
        await store.presence.open_session(session(f"old-{device}", device, "killed"))
    await silence(client, "killed")
    await store.nodes.alive()

    assert await store.presence.open_session(session("s1", "a")) == ALONE
    assert await store.presence.open_session(session("s2", "c")) == ALONE

    assert await listed(store) == ["s1", "s2"]
    assert sorted(await client.hkeys("pp:{u:alice}:sessions")) == [b"#", b"s1", b"s2"]


async def test_a_node_that_nobody_looked_at_yet_is_not_taken_for_dead(
    store: Store, make_store: Callable[..., Store]
) -> None:
    await store.nodes.beat("n1", {})
    await store.nodes.alive()
    await store.nodes.beat("new", {})
    await store.presence.open_session(session("s1", "phone", "new"))

    other = make_store()
    await other.nodes.alive()

    assert await other.presence.open_session(session("s2", "tab")) == Opened([], frozenset({"new"}))


async def test_a_beat_says_whether_the_node_was_taken_for_dead(store: Store, client: Redis) -> None:
    assert not await store.nodes.beat("n1", {})
    assert await store.nodes.beat("n1", {})
    await silence(client, "n1")
    assert not await store.nodes.beat("n1", {})


async def test_a_session_that_fell_off_the_table_enters_again(store: Store, client: Redis) -> None:
    await store.nodes.beat("n1", {})
    await store.nodes.beat("n2", {})
    await store.presence.open_session(session("s1", "phone"))
    await store.presence.open_session(session("s2", "tab", "n2"))
    await client.hdel("pp:{u:alice}:sessions", "s1")

    assert await store.presence.enter_again([session("s1", "phone")]) == [Opened([], frozenset({"n2"}))]

    assert await listed(store) == ["s2", "s1"]


async def test_it_does_not_where_its_device_opened_elsewhere_meanwhile(store: Store, client: Redis) -> None:
    await store.nodes.beat("n1", {})
    await store.nodes.beat("n2", {})
    await store.presence.open_session(session("s2", "phone", "n2"))

    assert await store.presence.enter_again([session("s1", "phone")]) == [None]

    assert await listed(store) == ["s2"]


async def test_a_row_from_before_it_connected_has_not_replaced_it(store: Store) -> None:
    """A failover took the session's row, and brought back that of the connection before it."""
    await store.nodes.beat("n1", {})
    await store.nodes.beat("n2", {})
    await store.presence.open_session(session("s1", "phone", "n2"))
    later = replace(session("s2", "phone"), connected_at_ms=session("s1", "phone").connected_at_ms + 1)

    assert await store.presence.enter_again([later]) == [Opened([], frozenset())]

    assert await listed(store) == ["s2"]
    assert [each.replaced for each in await store.presence.standings([session("s1", "phone")])] == [True]


async def test_a_kick_is_remembered_for_whoever_did_not_hear_it(store: Store, client: Redis) -> None:
    await store.nodes.beat("n1", {})
    sessions = [session("s1", "phone"), session("s2", "tab"), session("s3", "desk")]
    for each in sessions:
        await store.presence.open_session(each)

    await store.presence.kick(ALICE, SessionId("s1"))
    assert [each.kicked for each in await store.presence.standings(sessions)] == [True, False, False]
    await store.presence.kick(ALICE)
    assert [each.kicked for each in await store.presence.standings(sessions)] == [True, True, True]

    assert await listed(store) == []
    assert 3_500 < await client.ttl("pp:{u:alice}:ended") <= 3_600


async def test_no_more_than_64_ended_sessions_are_remembered_of_a_user(store: Store, client: Redis) -> None:
    for number in range(70):
        await store.presence.kick(ALICE, SessionId(f"s{number}"))

    assert await client.zcard("pp:{u:alice}:ended") == 64


async def test_a_session_nothing_happened_to_stands(store: Store) -> None:
    await store.nodes.beat("n1", {})
    await store.presence.open_session(session("s1", "phone"))

    assert await store.presence.standings([session("s1", "phone")]) == [FINE]


async def test_a_revocation_is_among_what_is_looked_up(store: Store) -> None:
    await store.presence.revoke_before(ALICE, 17)

    (standing,) = await store.presence.standings([session("s1", "phone")])

    assert standing.revoked_before == 17


async def test_who_of_many_is_connected_is_asked_in_one_pass_and_the_dead_do_not_count(
    store: Store, client: Redis
) -> None:
    await store.nodes.beat("n1", {})
    await store.nodes.beat("killed", {})
    for number, node in enumerate(("n1", "killed", "n1")):
        await store.presence.open_session(session(f"s{number}", "phone", node, Uid(f"u{number}")))
    await silence(client, "killed")

    users = [Uid(f"u{number}") for number in (4, 2, 1, 0)]
    assert await store.presence.connected(users) == ["u2", "u0"]
    assert await store.presence.connected([]) == []
