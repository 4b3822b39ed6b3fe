"""A service with something to protect: one room, everybody's roles in it, and words that no stranger may see."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import redis

from tests.e2e.conftest import serve, serve_process, talk  # noqa: F401 - fixtures of these tests, too
from tests.e2e.service import LocalService, serving, settings_of
from tests.security.credentials import AUTH
from tests.servers import RedisServer

ROOM = "room"
WORDS = "words-for-members-alone"
TITLE = "title-for-members-alone"
QUIET_MEMBER = "quentin"  # named in no request: only an answer that tells of the room can hold the name

ROLES = ("stranger", "former", "reader", "member", "moderator")
"""The users of the tables, by name. `alice` wrote message 1; `bob` is the member that forgers pretend to be."""

Digest = Callable[[], dict[bytes, bytes]]

# What a node writes without being asked: its heartbeat, its report, its sessions, its probes.
_OWN_KEYS = (b"nodes", b"report:", b"schema", b"sweep:lock", b"probe:")
_OF_SESSIONS = (b":sessions", b":devices")


async def furnish(service: LocalService) -> None:
    """Make the room: message 1 is alice's, message 2 the service's; `former` was there for both and is no more."""
    await service.room(
        ROOM,
        "alice",
        "bob",
        "member",
        "former",
        QUIET_MEMBER,
        {"user": "reader", "role": "reader"},
        {"user": "moderator", "role": "moderator"},
        data={"title": TITLE},
    )
    await service.post(ROOM, "first", WORDS, sender="alice")
    await service.post(ROOM, "second", WORDS)
    await service.remove(ROOM, "former")


@pytest.fixture(params=["direct", "asgi"])
async def furnished(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[LocalService]:
    """The service with its room, on both WebSocket paths."""
    async with serving(settings_of(server={"websocket": request.param}, auth=AUTH), redis_url) as service:
        await furnish(service)
        yield service


@pytest.fixture
async def over_http(redis_url: str) -> AsyncIterator[LocalService]:
    """The service with its room, for tests that open no WebSocket."""
    async with serving(settings_of(auth=AUTH), redis_url) as service:
        await furnish(service)
        yield service


@pytest.fixture
def digest(redis_server: RedisServer) -> Iterator[Digest]:
    """What all of Redis holds, key by key, but for what nodes write by themselves: to be compared with a later one."""
    with redis.Redis(unix_socket_path=str(redis_server.socket_path), protocol=2) as asking:

        def take() -> dict[bytes, bytes]:
            keys = sorted(
                key for key in asking.keys("*") if not key.startswith(_OWN_KEYS) and not key.endswith(_OF_SESSIONS)
            )
            return dict(zip(keys, asking.execute_command("DEBUG", "DIGEST-VALUE", *keys), strict=True))

        yield take
