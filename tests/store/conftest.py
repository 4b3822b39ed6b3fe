"""Stores to test: each test runs on fakeredis, on a real server, which decides disputes, and on a cluster of three."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import redis.asyncio.cluster
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis

from pushpull import settings
from pushpull.model import Cid, Role, Uid
from pushpull.store import Store
from pushpull.store.connection import connect, servers_of
from pushpull.store.servers import Servers
from tests.servers import RedisCluster

ROOM = Cid("room")
ALICE, BOB, CAROL = Uid("alice"), Uid("bob"), Uid("carol")

LEFT_BY_DELETION = {b"pp:control", b"pp:{c:room}:deleted"}
"""The number of the last announcement, and when it was."""


async def keys_of(client: Any) -> set[bytes]:
    """All keys there are, on every primary of a cluster."""
    everywhere = {"target_nodes": client.PRIMARIES} if isinstance(client, redis.asyncio.cluster.RedisCluster) else {}
    return set(await client.keys("*", **everywhere))


@pytest.fixture(scope="session")
def cluster() -> Iterator[RedisCluster]:
    """Three primaries for all tests of a run; use `cluster_url`."""
    cluster = RedisCluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def cluster_url(cluster: RedisCluster) -> str:
    """The URL of the shared cluster, empty at the start of each test."""
    for server in cluster.servers:
        server.ask("FLUSHALL")
    return cluster.url


@pytest.fixture(params=["fakeredis", "real", "cluster"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """A client of redis-py's, to look at and change what the store of the same test keeps."""
    if request.param == "fakeredis":
        found: Any = FakeAsyncRedis(version=(7,), protocol=2)
    elif request.param == "real":
        found = Redis.from_url(request.getfixturevalue("redis_url"), protocol=2)
    else:
        request.getfixturevalue("cluster_url")
        port = request.getfixturevalue("cluster").servers[0].port
        found = redis.asyncio.cluster.RedisCluster(host="127.0.0.1", port=port, protocol=2)
    yield found
    await found.aclose()


@pytest.fixture
async def servers(client: Any, request: pytest.FixtureRequest) -> AsyncIterator[Servers]:
    if isinstance(client, FakeAsyncRedis):
        found = servers_of(client)
    else:
        found = connect(request.getfixturevalue("redis_url" if isinstance(client, Redis) else "cluster_url"))
    await found.open()
    yield found
    await found.aclose()


@pytest.fixture
def make_store(servers: Servers) -> Callable[..., Store]:
    """`make_store(retained=10, members=5, …)`: stores of other settings on the same server."""

    def make(
        *, retained: int = 100_000, days: int = 0, window_s: int = 3600, inline: int = 512, **limits: Any
    ) -> Store:
        return Store(
            servers,
            settings.Settings(
                redis=settings.Redis(prefix="pp:"),
                idempotency=settings.Idempotency(window_s=window_s),
                retention=settings.Retention(max_messages=retained, max_age_days=days),
                limits=settings.Limits(**limits),
                delivery=settings.Delivery(inline_max_bytes=inline),
            ),
        )

    return make


@pytest.fixture
async def store(make_store: Callable[..., Store]) -> Store:
    """A store with one conversation, `room`: alice is a member of it, bob a moderator, carol a reader."""
    store = make_store()
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MODERATOR), (CAROL, Role.READER)])
    return store


@pytest.fixture
async def real_store(redis_url: str) -> AsyncIterator[Store]:
    """As `store`, on a real server only, opened as a node opens it."""
    store = await Store.open(settings.Settings(redis=settings.Redis(prefix="pp:")), url=redis_url)
    await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER), (BOB, Role.MODERATOR), (CAROL, Role.READER)])
    yield store
    await store.aclose()
