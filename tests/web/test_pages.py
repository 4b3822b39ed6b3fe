"""What browsers load: found, typed, asked for again, and held to their own origin."""

from __future__ import annotations

import re
from typing import Any, cast

import httpx2
import pytest
from starlette.requests import Request

from pushpull import __version__
from pushpull.node.node import Node
from pushpull.settings import Auth, Redis, Server, Settings, demo_is_on
from pushpull.web.app import create_app
from pushpull.web.auth import Authenticator
from pushpull.web.pages import assets_of, content_security_policy, from_this_machine
from tests.web.conftest import API_KEY, SECRET, assert_problem
from tests.web.fakes import FakeNode


def browser_at(
    base_url: str = "http://127.0.0.1:8080", *, redis: Redis | None = None, **server: Any
) -> httpx2.AsyncClient:
    """Someone who asks a service with these settings, under this address."""
    settings = Settings(
        auth=Auth(jwt_secret=(SECRET,), api_keys=(API_KEY,)), server=Server(**server), redis=redis or Redis()
    )
    app = create_app(cast("Node", FakeNode(settings)), Authenticator(settings.auth))
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url=base_url)


async def test_the_client_is_served_under_its_version() -> None:
    async with browser_at() as browser:
        answer = await browser.get("/sdk/package.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["version"] == __version__


async def test_a_file_that_is_held_already_is_not_sent_again() -> None:
    async with browser_at() as browser:
        first = await browser.get("/sdk/package.json")
        again = await browser.get("/sdk/package.json", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
        other = await browser.get("/sdk/package.json", headers={"If-None-Match": '"other"'})

    assert (first.status_code, again.status_code, other.status_code) == (200, 304, 200)
    assert again.content == b""
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers.get_list("cache-control") == ["no-cache"]


@pytest.mark.parametrize(
    "path",
    ["/sdk/", "/sdk/nothing.js", "/sdk/__init__.py", "/sdk/..%2fapp.py", "/sdk/../app.py", "/sdk/%00", "/sdk/a/b"],
)
async def test_nothing_but_the_files_of_the_folder_is_served(path: str) -> None:
    async with browser_at() as browser:
        assert_problem(await browser.get(path), 404, "not_found")


async def test_pages_are_read_and_not_written() -> None:
    async with browser_at() as browser:
        assert_problem(await browser.post("/sdk/package.json"), 405, "method_not_allowed")
        assert (await browser.head("/sdk/package.json")).status_code == 200


async def test_a_page_may_load_from_its_own_host_alone() -> None:
    async with browser_at("https://chat.example:8443") as browser:
        policy = (await browser.get("/sdk/package.json")).headers["content-security-policy"]

    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("connect-src") == "'self' ws://chat.example:8443 wss://chat.example:8443"
    assert rules.pop("img-src") == "'self' data:"
    assert {rules.pop(name) for name in ("script-src", "style-src", "manifest-src")} == {"'self'"}
    assert rules == dict.fromkeys(("default-src", "frame-ancestors", "base-uri", "form-action"), "'none'")


@pytest.mark.parametrize("host", ["", "a b", "a;script-src *", "*", "a, b", "*.example", "a:80:90", "a\n"])
def test_a_host_that_is_none_adds_nothing_to_the_policy(host: str) -> None:
    assert "connect-src 'self';" in content_security_policy(host)


@pytest.mark.parametrize(
    ("server", "redis_url", "shown"),
    [
        ({}, "", True),
        ({"host": "::1"}, "", True),
        ({"host": "0.0.0.0"}, "", False),
        ({}, "redis://redis.example", False),
        ({"demo": "off"}, "", False),
        ({"demo": "on", "host": "0.0.0.0"}, "redis://redis.example", True),
    ],
)
def test_the_demo_is_shown_by_itself_to_the_person_at_this_machine(
    server: dict[str, Any], redis_url: str, shown: bool
) -> None:
    assert demo_is_on(Settings(server=Server(**server), redis=Redis(url=redis_url))) is shown


def test_the_client_says_the_version_it_is_of() -> None:
    assert f'VERSION = "{__version__}"' in assets_of("sdk")["chat.js"].body.decode()


def test_no_file_of_the_client_comes_from_elsewhere() -> None:
    modules = {name: asset.body.decode() for name, asset in assets_of("sdk").items() if name.endswith(".js")}
    imported = {source for text in modules.values() for source in re.findall(r'^import .*? from "(.*?)";', text, re.M)}

    assert {name.removeprefix("./") for name in imported} <= modules.keys()


@pytest.mark.parametrize(
    ("headers", "local"),
    [
        ({"host": "127.0.0.1:8080"}, True),
        ({"host": "localhost"}, True),
        ({"host": "localhost:8080"}, True),
        ({"host": "[::1]:8080"}, True),
        ({"host": "[::1]"}, True),
        ({"host": "rebound.example:8080"}, False),
        ({"host": "localhost.example"}, False),
        ({"host": ""}, False),
        ({}, False),
        ({"host": "127.0.0.1:8080", "x-forwarded-for": "203.0.113.7"}, False),
        ({"host": "localhost", "forwarded": "for=203.0.113.7"}, False),
    ],
)
def test_who_asks_this_machine_by_its_own_name_is_at_it(headers: dict[str, str], local: bool) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]

    assert from_this_machine(Request({"type": "http", "headers": raw})) is local
