"""Stores to test: each test runs on fakeredis and on a real server, which decides disputes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fakeredis import FakeAsyncRedis
from redis.asyncio import Redis

from pushpull import settings
from pushpull.model import Cid, Role, Uid
from pushpull.store import Store
from pushpull.store.connection import connect

ROOM = Cid("room")
ALICE, BOB, CAROL = Uid("alice"), Uid("bob"), Uid("carol")


@pytest.fixture(params=["fakeredis", "real"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    if request.param == "fakeredis":
        found: Redis = FakeAsyncRedis(version=(7,), protocol=2)
    else:
        found = connect(request.getfixturevalue("redis_url"))
    yield found
    await found.aclose()
    await found.connection_pool.disconnect()


@pytest.fixture
def make_store(client: Redis) -> Callable[..., Store]:
    """`make_store(retained=10, members=5, …)`: stores of other settings on the same server."""

    def make(
        *, retained: int = 100_000, days: int = 0, window_s: int = 3600, inline: int = 512, **limits: Any
    ) -> Store:
        return Store(
            client,
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
