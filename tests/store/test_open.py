"""Opening a store, its health, and what the world is told when Redis is in trouble."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis import exceptions as redis_errors

from pushpull import settings
from pushpull.errors import ConfigError, StoreUnavailable
from pushpull.model import Cid, Role, Sent, Uid
from pushpull.store import Store
from pushpull.store.connection import connect
from pushpull.store.keys import Keys
from pushpull.store.refusals import unavailable
from tests.servers import RedisServer
from tests.store.conftest import ALICE, ROOM
from tests.store.drafts import draft, sent


@asynccontextmanager
async def opened(url: str, **redis: Any) -> AsyncIterator[Store]:
    store = await Store.open(settings.Settings(redis=settings.Redis(**redis)), url=url)
    try:
        yield store
    finally:
        await store.aclose()


async def test_a_good_server_is_healthy(redis_url: str) -> None:
    async with opened(redis_url) as store:
        health = await store.health()
        assert (health.ok, health.detail) == (True, "")


@pytest.mark.parametrize(
    "url",
    [
        "http://x",
        "",
        "redis://:pass@host:port",
        "redis://:pass@host:1?socket_timeout=1",
        "redis://:pass@host:1?unheard_of=1",
        "redis+cluster://:pass@",
        "redis+cluster://:pass@host",
        "redis+cluster://:pass@a:1,b",
        "redis+cluster://:pass@a:1/3",
        "redis+sentinel://:pass@a:1,b:2",
        "redis+sentinel://:pass@a:1/",
        "redis+sentinel://:pass@a/main",
        "redis+sentinel://:pass@a:1/main/db",
    ],
    ids=str,
)
async def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match=r"redis\.url") as raised:
        connect(url)
    assert "pass@" not in str(raised.value)


@pytest.mark.parametrize("prefix", ["a{b}", "a b", "a*"])
def test_a_prefix_must_leave_hash_tags_alone(prefix: str) -> None:
    with pytest.raises(ConfigError, match=r"redis\.prefix"):
        Keys(prefix)


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="redis cannot be reached"):
        async with opened("unix:///nowhere/redis.sock"):
            pass


async def test_a_newer_schema_is_refused(redis_url: str, redis_server: RedisServer) -> None:
    redis_server.ask("SET", "pp:schema", "2")
    with pytest.raises(ConfigError, match="redis holds schema 2: this release reads up to 1"):
        async with opened(redis_url, prefix="pp:"):
            pass


async def test_fsync_needs_a_server_that_syncs_always(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly=True, appendfsync="always")
    async with opened(server.url, durability="fsync"):
        pass
    server.ask("CONFIG", "SET", "appendfsync", "everysec")
    async with opened(server.url, durability="fsync") as store:  # waited for, by WAITAOF
        await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
        assert not (await sent(store, "m1")).dup
        assert (await sent(store, "m1")).dup
    server.ask("CONFIG", "SET", "appendfsync", "no")
    with pytest.raises(ConfigError, match="needs appendfsync always: redis has appendfsync no"):
        async with opened(server.url, durability="fsync"):
            pass


async def test_fsync_needs_an_append_only_file(redis_url: str) -> None:
    with pytest.raises(ConfigError, match="needs appendonly yes: redis has appendonly no"):
        async with opened(redis_url, durability="fsync"):
            pass


async def test_an_evicting_server_is_not_healthy(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly=False, maxmemory_policy="allkeys-lru")
    async with opened(server.url) as store:
        assert (await store.health()).ok  # without a bound on memory nothing is evicted
        server.ask("CONFIG", "SET", "maxmemory", "100mb")
        health = await store.health()
        assert (health.reachable, health.writable, health.noeviction) == (True, True, False)
        assert health.detail == "redis evicts: maxmemory-policy is allkeys-lru, expected noeviction"


async def test_a_read_only_server_is_named(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly=False)
    async with opened(server.url) as store:
        await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
        server.ask("REPLICAOF", "127.0.0.1", "1")
        health = await store.health()
        assert (health.reachable, health.writable, health.detail) == (True, False, "redis is read-only (READONLY)")
        result = (await store.log.append([draft("m1")]))[0]
        assert isinstance(result, StoreUnavailable)
        assert str(result) == "redis is read-only (READONLY)"


async def test_a_full_server_stores_nothing_and_says_so(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly=False)
    async with opened(server.url) as store:
        await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
        server.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="redis is out of memory"):
            await sent(store, "m1")
        server.ask("CONFIG", "SET", "maxmemory", "0")
        assert not (await sent(store, "m1")).dup


async def test_a_server_that_went_away_is_unavailable_and_the_retry_stores_once(
    start_redis: Callable[..., RedisServer],
) -> None:
    server = start_redis(appendonly=True)
    async with opened(server.url) as store:
        await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
        await store.log.append([draft("m0")])
        server.stop()
        refused = await store.log.append([draft("m1"), draft("m2")])
        assert [type(each) for each in refused] == [StoreUnavailable] * 2
        health = await store.health()
        assert (health.reachable, health.ok) == (False, False)
        server.start()
        first, second, before = await store.log.append([draft("m1"), draft("m2"), draft("m0")])
        assert isinstance(first, Sent)
        assert isinstance(second, Sent)
        assert isinstance(before, Sent)
        assert (first.id[0], second.id[0], before.dup) == ("2", "3", True)


async def test_a_server_that_forgot_the_scripts_is_taught_again(redis_url: str, redis_server: RedisServer) -> None:
    async with opened(redis_url) as store:
        await store.conversations.put(ROOM, {}, members=[(ALICE, Role.MEMBER)])
        for i in range(2):
            redis_server.ask("SCRIPT", "FLUSH")
            assert not (await sent(store, f"m{i}")).dup
        redis_server.ask("SCRIPT", "FLUSH")
        assert [head.seq for head in await store.log.heads([ROOM] * 50) if head] == [2] * 50


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (redis_errors.ConnectionError("Error 111 connecting to secret.host"), "redis cannot be reached"),
        (redis_errors.TimeoutError("x"), "redis does not answer in time"),
        (redis_errors.BusyLoadingError("x"), "redis is loading its data (LOADING)"),
        (redis_errors.ResponseError("NOREPLICAS Not enough good replicas"), "redis has too few replicas (NOREPLICAS)"),
        (redis_errors.ResponseError("MISCONF Redis is configured"), "redis cannot write to its disk (MISCONF)"),
        (redis_errors.ResponseError("WRONGTYPE Operation"), "redis failed append (WRONGTYPE)"),
    ],
)
def test_errors_of_redis_are_told_in_our_words(error: Exception, message: str) -> None:
    assert str(unavailable(error, "append")) == message


@pytest.mark.parametrize(
    ("cause", "message"),
    [
        (redis_errors.AuthenticationError("invalid pair"), "redis refuses the password (WRONGPASS)"),
        (redis_errors.TimeoutError("Timeout reading"), "redis does not answer in time"),
        (OSError("refused"), "redis cannot be reached"),
    ],
)
def test_what_kept_a_connection_from_being_made_is_told(cause: Exception, message: str) -> None:
    lost = redis_errors.ConnectionError("no connection")
    lost.__cause__ = cause
    assert str(unavailable(lost, "append")) == message


def test_every_key_of_the_service_is_known_as_its_own_and_no_other() -> None:
    keys = Keys("pp:")
    words: dict[str, Any] = {"Cid": ROOM, "Uid": ALICE, "int": 7, "str": "due"}
    made = []
    for name, make in inspect.getmembers(keys, inspect.ismethod):
        parameters = inspect.signature(make).parameters.values()
        if name.startswith("_") or name in ("is_own", "cid_of_meta"):
            continue
        found = make(*(words[parameter.annotation] for parameter in parameters))
        made += [found] if isinstance(found, str) else found

    assert len(made) > 30
    assert [key for key in made if not keys.is_own(key)] == []
    assert not any(map(keys.is_own, ("nodes", "pp:cart:7", "pp:nodes:more", "{c:room}:log")))


def test_an_unexpected_error_is_logged_without_arguments(caplog: pytest.LogCaptureFixture) -> None:
    unavailable(redis_errors.ResponseError("ERR unknown command, with args beginning with: 'a body'"), "append")
    assert "append" in caplog.text
    assert "a body" not in caplog.text


async def test_a_closed_store_opens_no_connection_again(redis_url: str) -> None:
    async with opened(redis_url) as store:
        assert (await store.health()).ok

    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await store.log.heads([Cid("room")])
    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await store.presence.revoked_before(Uid("alice"))
    assert store._servers.shards()[0].server.pool._in_use_connections == set()


async def test_a_call_that_is_tried_again_while_the_store_closes_ends(start_redis: Callable[..., RedisServer]) -> None:
    server = start_redis(appendonly=False)
    async with opened(server.url) as store:
        server.kill()
        waiting = asyncio.create_task(store.log.heads([Cid("room")]))
        await asyncio.sleep(0.01)

    with pytest.raises(StoreUnavailable, match="the store is closed"):
        await waiting
