"""The application over a node in memory, and callers of it: `server` with an API key, `alice` and `bob` with tokens."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

import httpx2
import jwt
import pytest
from starlette.applications import Starlette

from pushpull.node.node import Node
from pushpull.settings import Auth, Settings
from pushpull.web.app import create_app
from pushpull.web.auth import Authenticator
from tests.web.fakes import FakeNode

SECRET = "a-secret-of-at-least-32-characters!"
API_KEY = "an-api-key"


def token_of(uid: str, *, secret: str = SECRET, **claims: Any) -> str:
    """A token that is good for an hour, unless the claims say otherwise."""
    now = int(time.time())
    return jwt.encode({"sub": uid, "iat": now, "exp": now + 3_600, **claims}, secret, algorithm="HS256")


@pytest.fixture
def settings() -> Settings:
    return Settings(auth=Auth(jwt_secret=(SECRET,), api_keys=(API_KEY,)))


@pytest.fixture
def node(settings: Settings) -> FakeNode:
    return FakeNode(settings)


@pytest.fixture
def app(node: FakeNode) -> Starlette:
    node.policy.started_with({"delivery.push_max_members": "env PUSHPULL_DELIVERY__PUSH_MAX_MEMBERS"})
    return create_app(cast("Node", node), Authenticator(node.settings.auth))


@pytest.fixture
async def client_of(app: Starlette) -> AsyncIterator[Callable[..., httpx2.AsyncClient]]:
    """Make clients that send these headers with each request."""
    async with AsyncExitStack() as stack:

        def make(**headers: str) -> httpx2.AsyncClient:
            transport = httpx2.ASGITransport(app=app)
            client = httpx2.AsyncClient(transport=transport, base_url="http://test", headers=headers)
            stack.push_async_callback(client.aclose)
            return client

        yield make


@pytest.fixture
def anybody(client_of: Callable[..., httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return client_of()


@pytest.fixture
def server(client_of: Callable[..., httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return client_of(**{"X-API-Key": API_KEY})


@pytest.fixture
def alice(client_of: Callable[..., httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return client_of(Authorization=f"Bearer {token_of('alice')}")


@pytest.fixture
def bob(client_of: Callable[..., httpx2.AsyncClient]) -> httpx2.AsyncClient:
    return client_of(Authorization=f"Bearer {token_of('bob')}")


@pytest.fixture
async def room(server: httpx2.AsyncClient) -> str:
    """The path of a conversation with alice and bob."""
    path = "/v1/conversations/room"
    answer = await server.put(path, json={"members": ["alice", "bob"]})
    assert answer.status_code == 201
    return path


def assert_problem(answer: httpx2.Response, status: int, code: str, *named: str) -> None:
    """The answer is a problem with this status and code, whose detail names these."""
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    for part in named:
        assert part in problem["detail"], problem
