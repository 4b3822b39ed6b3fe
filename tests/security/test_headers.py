"""Headers: what every answer carries, which origins may connect, and that no id can make a header of its own."""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from websockets.exceptions import InvalidStatus

from tests.e2e.conftest import Serve
from tests.e2e.service import API_KEY, LocalService, token_of
from tests.security.conftest import ROOM

CHAT = "https://chat.example"
UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def raw_answer(service: LocalService, request: str, within: float = 2.0) -> str:
    """What the service writes back to these bytes, up to the end of its header."""
    host, _, port = service.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(request.encode("latin-1"))
        async with asyncio.timeout(within):
            return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    finally:
        writer.close()
        await writer.wait_closed()


ANSWERS = [
    ("GET", "/v1/conversations/room", 200),
    ("PUT", "/v1/conversations/room/cursors/me", 400),
    ("GET", "/v1/users/me/conversations", 200),
    ("GET", "/v1/nodes", 403),
    ("GET", "/v1/nothing", 404),
    ("PATCH", "/v1/conversations/room", 405),
    ("GET", "/healthz", 200),
    ("GET", "/metrics", 200),
    ("GET", "/openapi.json", 200),
    ("GET", "/asyncapi.json", 200),
]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_no_answer_is_sniffed_kept_or_signed_by_the_server(
    over_http: LocalService, method: str, path: str, status: int
) -> None:
    answer = await over_http.user("member").request(method, path)

    assert answer.status_code == status
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert "server" not in answer.headers
    assert "x-powered-by" not in answer.headers


async def test_a_page_of_messages_may_be_kept_by_its_reader_alone(over_http: LocalService) -> None:
    page = await over_http.user("member").get(f"/v1/conversations/{ROOM}/messages")
    again = await over_http.user("member").get(
        f"/v1/conversations/{ROOM}/messages", headers={"If-None-Match": page.headers["etag"]}
    )

    for answer in (page, again):
        assert answer.headers.get_list("cache-control") == ["private, no-cache"]
        assert "authorization" in answer.headers["vary"].lower()
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (page.status_code, again.status_code) == (200, 304)


@pytest.mark.parametrize(
    "name", ["a%0d%0aX-Evil:%201", "a\u2028b", "%00", "%ff", "..%2f..%2fetc", "%3Cscript%3E", "a%20b", "x" * 129]
)
async def test_no_id_of_a_path_becomes_a_header_or_a_page(over_http: LocalService, name: str) -> None:
    for path in (f"/v1/conversations/{name}", f"/v1/users/{name}/sessions", f"/v1/{name}"):
        answer = await over_http.server.get(path)

        assert answer.status_code in (404, 422)
        assert "x-evil" not in answer.headers
        assert answer.headers["content-type"] == "application/problem+json"
        assert "\n" not in answer.text
        assert len(answer.text) < 400


async def test_a_kick_of_a_session_with_any_name_touches_no_other_key(over_http: LocalService) -> None:
    for name in ("a%0d%0ab", "*", "%2e%2e", "s%00"):
        answer = await over_http.server.delete(f"/v1/users/bob/sessions/{name}")
        assert answer.status_code in (204, 404, 422)
    assert (await over_http.server.get(f"/v1/conversations/{ROOM}")).status_code == 200


async def test_cors_is_for_the_origins_of_the_settings_alone(serve: Serve) -> None:
    service = await serve(server={"origins": (CHAT,)})
    ask = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}

    def allowed(answer: httpx2.Response) -> str | None:
        return answer.headers.get("access-control-allow-origin")

    for origin in ("https://evil.example", f"{CHAT}.evil.example", "http://chat.example", "null", f"{CHAT}:8443"):
        assert allowed(await service.anybody().get("/healthz", headers={"Origin": origin})) is None
        refused = await service.anybody().options("/v1/conversations/room", headers={"Origin": origin, **ask})
        assert (refused.status_code, allowed(refused)) == (400, None)
    preflight = await service.anybody().options("/v1/conversations/room", headers={"Origin": CHAT, **ask})
    assert (preflight.status_code, allowed(preflight)) == (200, CHAT)
    assert "access-control-allow-credentials" not in preflight.headers
    with_key = {**ask, "Access-Control-Request-Headers": "x-api-key"}
    refused = await service.anybody().options("/v1/nodes", headers={"Origin": CHAT, **with_key})
    assert refused.status_code == 400, "a server's key has no business in a browser"


async def test_only_pages_of_the_named_origins_open_a_socket(serve: Serve) -> None:
    service = await serve(server={"origins": (CHAT,)})
    own = service.url

    for origin in ("https://evil.example", f"{CHAT}.evil.example", "null", own, "http://[", ""):
        with pytest.raises(InvalidStatus) as refused:
            await service.wire(Origin=origin)
        assert refused.value.response.status_code == 403
    await service.wire(Origin=CHAT)
    await service.wire()  # no browser


async def test_without_origins_only_pages_of_the_services_own_open_a_socket(serve: Serve) -> None:
    service = await serve()

    for origin in ("https://evil.example", "null", "http://[", "", "127.0.0.1", service.url + "0"):
        with pytest.raises(InvalidStatus) as refused:
            await service.wire(Origin=origin)
        assert refused.value.response.status_code == 403
    await service.wire(Origin=service.url)


async def test_a_page_without_an_origin_is_not_the_own_of_a_request_without_a_host(serve: Serve) -> None:
    service = await serve()

    answer = await raw_answer(service, "GET /v1/ws HTTP/1.1\r\nHost:\r\nOrigin: null\r\n" + UPGRADE)

    assert answer.startswith("HTTP/1.1 403 ")


async def test_an_upgrade_names_no_server_and_repeats_no_header(serve: Serve) -> None:
    service = await serve()
    secrets = f"Authorization: Bearer {token_of('bob')}\r\nX-API-Key: {API_KEY}\r\n"

    answer = await raw_answer(service, f"GET /v1/ws?token=garbage HTTP/1.1\r\nHost: a\r\n{secrets}" + UPGRADE)

    assert answer.startswith("HTTP/1.1 101 ")
    assert "\r\nserver:" not in answer.lower()
    for secret in (API_KEY, "eyJ", "garbage"):
        assert secret not in answer
