"""Chromium over a service of the test's own, in the test's loop: `page` is a tab, `context` the browser it is in,
`open_context` opens more browsers, each like another computer; `service` and `serve` are as in tests/e2e.

One Chromium serves all tests of a worker, so all of them run in the session's loop. A test fails when one of its tabs
threw, logged an error or asked another host for something; `mishaps` takes away what was meant to happen.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright, expect

from scripts.screenshots.stage import ARGUMENTS
from tests.e2e.conftest import serve_process  # noqa: F401 - a fixture of these tests, too
from tests.e2e.service import LocalService, ServiceProcess, serving, settings_of

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NOT_FOUND = (
    "no Chromium or Chrome found; on Debian: apt-get install -y --no-install-recommends chromium; "
    "or name one: PUSHPULL_CHROMIUM=/path/to/chromium"
)
PATIENCE_MS = 20_000
"""For anything a test waits for in a tab: machines that run tests are slow at times."""

expect.set_options(timeout=PATIENCE_MS)

Serve = Callable[..., Awaitable[LocalService]]
OpenContext = Callable[..., Awaitable[BrowserContext]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if isinstance(item, pytest.Function) and pytest_asyncio.is_async_test(item):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def chromium() -> str:
    """The program to drive. Without one the tests fail: nobody would notice that they are skipped."""
    named = os.environ.get("PUSHPULL_CHROMIUM")
    found = shutil.which(named) if named else next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        pytest.fail(NOT_FOUND, pytrace=False)
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    program = chromium()
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        yield launched
        await launched.close()


class Mishaps(list[str]):
    """What went wrong in the tabs of a test. Empty at its end, or it fails."""

    def forgive(self, *parts: str) -> None:
        """Take away what holds one of these: it was meant to happen."""
        self[:] = [mishap for mishap in self if not any(part in mishap for part in parts)]

    def watch(self, context: BrowserContext) -> None:
        context.on("weberror", lambda error: self.append(f"thrown: {error.error}"))
        context.on("console", self._on_console)
        context.on("request", self._on_request)

    def _on_console(self, line: ConsoleMessage) -> None:
        # A page that names no icon is asked for one all the same.
        if line.type == "error" and not line.location["url"].endswith("/favicon.ico"):
            self.append(f"logged: {line.text}")

    def _on_request(self, request: Request) -> None:
        if urlsplit(request.url).hostname not in (None, "127.0.0.1"):
            self.append(f"asked elsewhere: {request.url}")


@pytest.fixture
def mishaps() -> Iterator[Mishaps]:
    seen = Mishaps()
    yield seen
    # What the browser itself says of a connection that a test cut is no fault of the page.
    seen.forgive("WebSocket connection to", "net::ERR_")
    assert seen == []


async def open_blank(context: BrowserContext, service: LocalService | ServiceProcess) -> Page:
    """A tab on the service's own origin, under the policy of its pages, with nothing that runs in it.

    It is a file that the service itself answers with: a page made up here would have no address, and Chromium lets such
    a one connect to no loopback.
    """
    page = await context.new_page()
    await page.goto(f"{service.url}/sdk/package.json")
    return page


@pytest_asyncio.fixture(loop_scope="session")
async def serve(redis_url: str) -> AsyncIterator[Serve]:
    """Start a service with these settings: `await serve(delivery={"push_max_members": 3})`."""
    async with AsyncExitStack() as stack:

        async def start(*, url: str = redis_url, **sections: dict[str, Any]) -> LocalService:
            return await stack.enter_async_context(serving(settings_of(**sections), url))

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def service(serve: Serve) -> LocalService:
    return await serve()


@pytest_asyncio.fixture(loop_scope="session")
async def open_context(browser: Browser, mishaps: Mishaps, serve: Serve) -> AsyncIterator[OpenContext]:
    """Another computer's browser, with a storage of its own: `await open_context(viewport=…, color_scheme="dark")`.

    It asks for `serve` so that browsers are gone before services are.
    """
    async with AsyncExitStack() as stack:

        async def opened(**options: Any) -> BrowserContext:
            context = await browser.new_context(**options)
            stack.push_async_callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            mishaps.watch(context)
            return context

        yield opened


@pytest_asyncio.fixture(loop_scope="session")
async def context(open_context: OpenContext) -> BrowserContext:
    return await open_context()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> Page:
    return await context.new_page()
