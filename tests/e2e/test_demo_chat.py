"""The calls of the demo chat, over the running service: who gets what from them, and who does not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pushpull.web.demo_cast import HOT, PEOPLE, SMALL, WELCOME
from tests.e2e.service import LocalService, token_of

Serve = Callable[..., Awaitable[LocalService]]

ADA = "demo:ada"


async def come_in(service: LocalService, user: str = ADA) -> str:
    answer = await service.anybody().post("/demo/session", json={"user": user})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


async def test_a_visitor_becomes_somebody_of_the_cast(serve: Serve) -> None:
    service = await serve(limits={"members": 50})
    cast = (await service.anybody().get("/demo/cast")).json()
    token = await come_in(service, cast["people"][1]["user"])

    mine = await service.anybody(Authorization=f"Bearer {token}").get("/v1/users/me/conversations")

    rows = {row["cid"]: row for row in mine.json()["conversations"]}
    assert set(rows) == {SMALL, HOT, "demo:ada-grace", "demo:grace-alan", "demo:grace-barbara", "demo:grace-edsger"}
    assert cast["hot"] == HOT
    hot = (await service.server.get(f"/v1/conversations/{HOT}")).json()
    assert (hot["members"], cast["hot_members"], hot["settings"]["offline"]) == (50, 50, "none")


async def test_coming_again_makes_nothing_twice(serve: Serve) -> None:
    first, second = await serve(limits={"members": 50}), await serve(limits={"members": 50})
    for service in (first, second, second):
        await asyncio.gather(come_in(service), come_in(service))

    said = (await first.server.get(f"/v1/conversations/{SMALL}/messages?after=0")).json()["items"]
    assert [item["body"]["text"] for item in said] == [WELCOME]


async def test_nobody_else_can_be_had(serve: Serve) -> None:
    service = await serve(limits={"members": 50})

    for user in ("alice", "demo:fan-0001", "demo:", ""):
        answer = await service.anybody().post("/demo/session", json={"user": user})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "192.0.2.1"},
        {"Host": "evil.example"},
    ],
)
async def test_other_sites_and_other_machines_get_nothing(serve: Serve, headers: dict[str, str]) -> None:
    service = await serve(limits={"members": 50}, server={"origins": ("*",)})

    for method, path, body in (
        ("GET", "/demo/cast", None),
        ("POST", "/demo/session", {"user": ADA}),
        ("POST", "/demo/crowd", {"rate": 1}),
    ):
        answer = await service.anybody(Authorization=f"Bearer {token_of(ADA)}").request(
            method, path, json=body, headers=headers
        )
        assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


async def test_where_the_demo_is_on_other_machines_may_come(serve: Serve) -> None:
    service = await serve(limits={"members": 50}, server={"demo": "on"})
    browser = service.anybody(
        **{"Host": "chat.example", "Origin": "https://chat.example", "X-Forwarded-For": "192.0.2.1"}
    )

    assert (await browser.post("/demo/session", json={"user": ADA})).status_code == 200


async def test_where_the_demo_is_off_there_are_no_such_calls(serve: Serve) -> None:
    service = await serve(server={"demo": "off"})

    for method, path in (("GET", "/demo/cast"), ("POST", "/demo/session"), ("POST", "/demo/crowd"), ("GET", "/demo")):
        assert (await service.anybody().request(method, path)).status_code == 404


async def test_tokens_fit_the_audience_and_the_issuer_that_are_asked_for(serve: Serve) -> None:
    service = await serve(limits={"members": 50}, auth={"audience": "chat", "issuer": "us"})
    token = await come_in(service)

    answer = await service.anybody(Authorization=f"Bearer {token}").get("/v1/users/me/unread")

    assert answer.status_code == 200


async def test_without_a_secret_there_are_no_tokens_to_be_had(serve: Serve) -> None:
    service = await serve(auth={"jwt_algorithms": ("RS256",)})

    answer = await service.anybody().post("/demo/session", json={"user": ADA})

    assert (answer.status_code, answer.json()["code"]) == (501, "unsupported")


async def test_the_crowd_speaks_while_it_is_watched(serve: Serve) -> None:
    service = await serve(limits={"members": 50})
    ada = service.anybody(Authorization=f"Bearer {await come_in(service)}")

    assert (await ada.post("/demo/crowd", json={"rate": 100})).json() == {"rate": 100.0}
    async with asyncio.timeout(5):
        while (await ada.get(f"/v1/conversations/{HOT}")).json()["head"] < 20:
            await asyncio.sleep(0.02)
    assert (await ada.post("/demo/crowd", json={})).json() == {"rate": 100.0}
    assert (await ada.post("/demo/crowd", json={"rate": 0})).json() == {"rate": 0.0}

    said = (await ada.get(f"/v1/conversations/{HOT}/messages?after=0")).json()["items"]
    assert all(item["from"].startswith("demo:fan-") for item in said)


@pytest.mark.parametrize("body", [{"rate": 101}, {"rate": -1}, {"rate": "loud"}, {"rate": True}])
async def test_a_crowd_has_bounds(serve: Serve, body: Any) -> None:
    service = await serve(limits={"members": 50})
    ada = service.anybody(Authorization=f"Bearer {token_of(ADA)}")

    assert (await ada.post("/demo/crowd", json=body)).json()["code"] == "bad_request"


async def test_only_the_cast_moves_the_crowd(serve: Serve) -> None:
    service = await serve(limits={"members": 50})

    for caller, code in ((service.user("alice"), "not_allowed"), (service.anybody(), "unauthenticated")):
        assert (await caller.post("/demo/crowd", json={"rate": 1})).json()["code"] == code
    assert (await service.server.post("/demo/crowd", json={"rate": 1})).json()["code"] == "not_allowed"


def test_everything_of_the_demo_has_a_name_of_its_own() -> None:
    assert all(name.startswith("demo:") for name in (HOT, SMALL, *(person.user for person in PEOPLE)))
