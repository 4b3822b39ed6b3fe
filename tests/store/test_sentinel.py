"""Whom connections talk to when the sentinels come to name another server, and the one before believes in itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from redis import exceptions as redis_errors

from pushpull.store import sentinel
from pushpull.store.exchange import Command
from pushpull.store.sentinel import Sentinels, Watched
from tests.servers import RedisServer, free_port


class Naming:
    """Servers that all believe to be primaries; the sentinels name `named`, but at first those in `before`."""

    def __init__(self, *servers: RedisServer) -> None:
        self.named, self.before = servers[-1], list(servers[:-1])

    async def primary(self) -> tuple[str, int]:
        return "127.0.0.1", (self.before.pop(0) if self.before else self.named).port


@pytest.fixture
def servers(start_redis: Callable[..., RedisServer]) -> list[RedisServer]:
    return [start_redis(appendonly=False, port=free_port()) for _ in range(2)]


class FakeSentinel:
    """What one sentinel answers: `at` to SENTINEL GET-MASTER-ADDR-BY-NAME, `still` in SENTINEL MASTER."""

    def __init__(self, at: int, *, still: int | None = None, epoch: int = 1) -> None:
        self._answers = {
            "MASTER": [b"ip", b"127.0.0.1", b"port", str(still or at).encode(), b"config-epoch", str(epoch).encode()],
            "GET-MASTER-ADDR-BY-NAME": [b"127.0.0.1", str(at).encode()],
        }

    def answer(self, commands: Sequence[Command]) -> tuple[Any, list[Any]]:
        return self, [self._answers[str(command[1])] for command in commands]


def asking(monkeypatch: pytest.MonkeyPatch, *asked: FakeSentinel) -> Sentinels:
    async def ask_some(_pools: Sequence[Any], commands: Sequence[Command]) -> list[tuple[Any, list[Any]]]:
        return [each.answer(commands) for each in asked]

    monkeypatch.setattr(sentinel, "ask_some", ask_some)
    return Sentinels([], "main")


async def test_the_one_who_leads_a_failover_is_asked_for_whom_it_promoted(monkeypatch: pytest.MonkeyPatch) -> None:
    sentinels = asking(monkeypatch, FakeSentinel(6380, still=6379, epoch=2), FakeSentinel(6379))

    assert await sentinels.primary() == ("127.0.0.1", 6380)


async def test_the_sentinel_of_the_latest_failover_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    sentinels = asking(monkeypatch, FakeSentinel(6379), FakeSentinel(6380, epoch=2), FakeSentinel(6379))

    assert await sentinels.primary() == ("127.0.0.1", 6380)


async def watched(naming: Naming, monkeypatch: pytest.MonkeyPatch) -> Watched:
    monkeypatch.setattr(sentinel, "LOOK_S", 0.01)
    made = Watched([{"host": "127.0.0.1", "port": 1}], "main", {})
    monkeypatch.setattr(made._sentinels, "primary", naming.primary)
    return made


async def test_a_connection_that_took_so_long_that_another_is_named_is_given_up(
    servers: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    redis = await watched(Naming(*servers), monkeypatch)
    connection: Any = redis.shards()[0].server.make_connection()

    with pytest.raises(redis_errors.ConnectionError, match="another server by now"):
        await connection.connect()

    assert not connection.is_connected
    await redis.aclose()


async def test_connections_to_another_than_is_named_now_are_closed(
    servers: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = servers
    naming = Naming(old)
    redis = await watched(naming, monkeypatch)
    connection: Any = redis.shards()[0].server.make_connection()
    await connection.connect()
    await redis.open()
    await asyncio.sleep(0.05)
    assert connection.is_connected

    naming.named = new
    async with asyncio.timeout(5):
        while connection.is_connected:
            await asyncio.sleep(0.01)
    await redis.aclose()


async def test_an_answer_that_cannot_be_used_does_not_end_the_watch(
    servers: list[RedisServer], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = servers
    naming = Naming(old)
    redis = await watched(naming, monkeypatch)
    connection: Any = redis.shards()[0].server.make_connection()
    await connection.connect()
    await redis.open()

    async def nonsense() -> tuple[str, int]:
        raise KeyError(b"ip")

    monkeypatch.setattr(redis._sentinels, "primary", nonsense)
    while "cannot be used" not in caplog.text:
        await asyncio.sleep(0.01)
    naming.named = new
    monkeypatch.setattr(redis._sentinels, "primary", naming.primary)
    async with asyncio.timeout(5):
        while connection.is_connected:
            await asyncio.sleep(0.01)

    await redis.aclose()
