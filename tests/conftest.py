"""Fixtures every test may use: real Redis servers, started quickly and stopped for certain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests import leaks
from tests.faults.report import pytest_terminal_summary
from tests.servers import RedisCluster, RedisServer, SentinelSetup

__all__ = ["pytest_terminal_summary"]  # a hook: here, as the process that shows results reads no other conftest


# How long an example takes says what else the machine was doing.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    leaks.install()
    leaks.talk_about_everything()


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """Fail a test during which a secret reached a log: this process's, or that of a service it started."""
    leaks.talk_about_everything()
    yield
    assert leaks.watch.take() == []


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The session's shared server, without an append-only file. Use `redis_url` unless you stop or restart it."""
    server = RedisServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of the shared server, empty at the start of each test, running even if an earlier test stopped it."""
    if not redis_server.alive:
        redis_server.start()
    redis_server.resume()
    redis_server.ask("FLUSHALL")
    redis_server.ask("CONFIG", "RESETSTAT")
    return redis_server.url


@pytest.fixture
def start_redis() -> Iterator[Callable[..., RedisServer]]:
    """Start a server of the test's own: `start_redis(appendonly=True, port=0, cluster_enabled="yes")`."""
    servers: list[RedisServer] = []

    def start(*, appendonly: bool = True, port: int = 0, **options: str | int) -> RedisServer:
        server = RedisServer(appendonly=appendonly, port=port, **options)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.remove()


@pytest.fixture
def start_cluster() -> Iterator[Callable[..., RedisCluster]]:
    """Start a cluster of the test's own, in 2 to 3 s: `start_cluster(primaries=3, replicas=1, appendonly=False)`."""
    clusters: list[RedisCluster] = []

    def start(**options: Any) -> RedisCluster:
        cluster = RedisCluster(**options)
        clusters.append(cluster)
        cluster.start()
        return cluster

    yield start
    for cluster in clusters:
        cluster.remove()


@pytest.fixture
def start_sentinel() -> Iterator[Callable[..., SentinelSetup]]:
    """Start a watched primary of the test's own, in 3 to 4 s: `start_sentinel(replicas=1, sentinels=3)`."""
    setups: list[SentinelSetup] = []

    def start(**options: Any) -> SentinelSetup:
        setup = SentinelSetup(**options)
        setups.append(setup)
        setup.start()
        return setup

    yield start
    for setup in setups:
        setup.remove()
