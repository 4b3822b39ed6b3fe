"""What holds for every call: who gets in, how errors look, how much may come, which browsers may ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, NoReturn, cast

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette

from pushpull.web.app import create_app
from pushpull.web.auth import Authenticator
from tests.web.conftest import API_KEY, SECRET, assert_problem, token_of
from tests.web.fakes import FakeNode

ClientOf = Callable[..., httpx2.AsyncClient]


async def test_without_credentials_there_is_a_challenge(anybody: httpx2.AsyncClient) -> None:
    refused = await anybody.get("/v1/conversations/room")
    assert_problem(refused, 401, "unauthenticated", "x-api-key")
    assert refused.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {token_of('alice')}"},
        {"Authorization": token_of("alice")},
        {"Authorization": f"Bearer {token_of('alice', secret='another-secret-of-32-characters!!!!')}"},
        {"Authorization": f"Bearer {API_KEY}"},
        {"X-API-Key": "wrong"},
        {"X-API-Key": ""},
        {"X-API-Key": SECRET},
        {"X-API-Key": "wrong", "Authorization": f"Bearer {token_of('alice')}"},
    ],
)
async def test_wrong_credentials_are_refused(client_of: ClientOf, room: str, headers: dict[str, str]) -> None:
    assert_problem(await client_of(**headers).get(room), 401, "unauthenticated")


async def test_an_expired_token_names_the_reason(client_of: ClientOf) -> None:
    refused = await client_of(Authorization=f"Bearer {token_of('alice', exp=1)}").get("/v1/conversations/room")
    assert_problem(refused, 401, "unauthenticated", "expired")
    assert refused.json()["reason"] == "token_expired"


async def test_a_token_in_the_query_opens_nothing(anybody: httpx2.AsyncClient, room: str) -> None:
    assert_problem(await anybody.get(f"{room}?token={token_of('alice')}"), 401, "unauthenticated")


async def test_the_scheme_is_not_case_sensitive_and_a_key_goes_before_a_token(client_of: ClientOf, room: str) -> None:
    assert (await client_of(Authorization=f"bearer {token_of('alice')}").get(room)).status_code == 200
    both = client_of(**{"X-API-Key": API_KEY, "Authorization": f"Bearer {token_of('mallory')}"})
    assert (await both.get(room)).status_code == 200


async def test_unknown_paths_and_methods_are_problems_too(server: httpx2.AsyncClient) -> None:
    assert_problem(await server.get("/v1/nothing"), 404, "not_found", "'/v1/nothing'")
    assert_problem(await server.get("/v1/policy/"), 404, "not_found")
    refused = await server.patch("/v1/conversations/room")
    assert_problem(refused, 405, "method_not_allowed", "PATCH")
    assert set(refused.headers["allow"].split(", ")) == {"GET", "HEAD", "PUT", "DELETE"}


async def test_what_nobody_foresaw_is_a_500_that_tells_nothing(
    server: httpx2.AsyncClient, node: FakeNode, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> Any:
        raise RuntimeError("the wheels came off")

    monkeypatch.setattr(node, "nodes", fail)
    with caplog.at_level(logging.ERROR):
        refused = await server.get("/v1/nodes")
    assert_problem(refused, 500, "internal")
    assert "wheels" not in refused.text
    assert "GET /v1/nodes failed" in caplog.text


async def chunks(count: int, size: int = 64 * 1024) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b" " * size


async def test_a_body_over_the_bound_is_cut_off_announced_or_not(server: httpx2.AsyncClient, room: str) -> None:
    announced = await server.post(f"{room}/messages", content=b" " * 300_000)
    assert_problem(announced, 413, "too_large", "300000")
    streamed = await server.post(f"{room}/messages", content=chunks(10))
    assert_problem(streamed, 413, "too_large", "limit of")


async def test_neither_tokens_nor_keys_nor_bodies_reach_the_log(
    client_of: ClientOf, room: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = token_of("alice", exp=1)
    with caplog.at_level(logging.DEBUG, logger="pushpull"):
        await client_of(Authorization=f"Bearer {token}").get(room)
        await client_of(**{"X-API-Key": "sesame"}).get(room)
        sender = client_of(Authorization=f"Bearer {token_of('alice')}")
        await sender.post(f"{room}/messages", json={"cmid": "c", "body": "my words", "kind": "redact"})
        await sender.post(f"{room}/messages", content=b'{"cmid":"c","body":"my words\\ud800"}')
    assert "unauthenticated" in caplog.text
    for secret in (token, "sesame", "my words"):
        assert secret not in caplog.text


def with_origins(node: FakeNode, *origins: str) -> Starlette:
    allowed = msgspec.structs.replace(node.settings.server, origins=origins)
    node.settings = msgspec.structs.replace(node.settings, server=allowed)
    return create_app(cast("Any", node), Authenticator(node.settings.auth))


async def test_a_page_of_an_allowed_origin_may_call(node: FakeNode) -> None:
    transport = httpx2.ASGITransport(app=with_origins(node, "https://chat.example"))
    asks = {
        "Origin": "https://chat.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization, content-type",
    }
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as browser:
        preflight = await browser.options("/v1/conversations/room/cursors/me", headers=asks)
        refused = await browser.get("/v1/nodes", headers={"Origin": "https://chat.example"})
        stranger = await browser.get("/v1/nodes", headers={"Origin": "https://evil.example"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://chat.example"
    # An error must be readable too, or the page cannot tell an expired token from a dead network.
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://chat.example"
    assert "access-control-allow-origin" not in stranger.headers


async def test_without_origins_no_cors_header_is_sent(anybody: httpx2.AsyncClient) -> None:
    answer = await anybody.get("/healthz", headers={"Origin": "https://chat.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_a_call_that_the_end_of_the_server_cuts_short_is_answered(
    server: httpx2.AsyncClient, node: FakeNode, room: str
) -> None:
    """Without an answer the caller would not know whether to try again; and there is nothing to be alarmed about."""
    under_way = asyncio.Event()

    async def never_ends(draft: object) -> NoReturn:
        under_way.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    node.send = never_ends  # type: ignore[method-assign,assignment]
    node.parts.draining = True
    calling = asyncio.create_task(server.post(f"{room}/messages", json={"cmid": "c", "body": 1}))
    await under_way.wait()

    calling.cancel()

    assert_problem(await calling, 503, "store_unavailable")
