"""The ground that the other tests here stand on: a tab on the service's own origin, and what it must not do."""

from __future__ import annotations

import pytest
from playwright.async_api import BrowserContext

from tests.browser.conftest import Mishaps, open_blank
from tests.e2e.service import LocalService


async def test_a_tab_reaches_the_service_of_its_test(context: BrowserContext, service: LocalService) -> None:
    page = await open_blank(context, service)

    assert await page.evaluate("async () => (await (await fetch('package.json')).json()).name") == "pushpull-client"


async def test_what_goes_wrong_in_a_tab_is_noticed(
    context: BrowserContext, service: LocalService, mishaps: Mishaps
) -> None:
    page = await open_blank(context, service)

    async with context.expect_event("weberror"):
        await page.evaluate("() => { setTimeout(() => { throw new Error('a bug') }) }")
    async with context.expect_event("console"):
        await page.evaluate("() => console.error('a complaint')")

    assert mishaps == ["thrown: a bug", "logged: a complaint"]
    mishaps.clear()


@pytest.mark.parametrize("attempt", ["fetch('http://other.example/')", "import('http://other.example/a.js')"])
async def test_the_policy_of_a_page_holds_it_to_its_own_host(
    context: BrowserContext, service: LocalService, mishaps: Mishaps, attempt: str
) -> None:
    page = await open_blank(context, service)

    assert await page.evaluate(f"() => {attempt}.then(() => false, () => true)")
    assert all("Content Security Policy" in mishap or "asked elsewhere" in mishap for mishap in mishaps)
    assert any("Content Security Policy" in mishap for mishap in mishaps)
    mishaps.clear()
