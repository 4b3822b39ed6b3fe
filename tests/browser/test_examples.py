"""The page of the example apps in two browsers, from an origin of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Mishaps, OpenContext, Serve
from tests.e2e.service import API_KEY, SECRET
from tests.receiver import SECRET as WEBHOOK_SECRET
from tests.servers import free_port
from tests.servers.server import wait_until

FASTAPI = Path(__file__).parents[2] / "examples" / "fastapi_chat"


@pytest.fixture
def start_app(tmp_path: Path) -> Iterator[Callable[[int, str], str]]:
    """Start the FastAPI app on a port, with pushpull at this URL; returns its address."""
    running: list[subprocess.Popen[bytes]] = []

    def start(port: int, chat_url: str) -> str:
        keys = {"API_KEY": API_KEY, "JWT_SECRET": SECRET, "WEBHOOK_SECRET": WEBHOOK_SECRET, "URL": chat_url}
        output = tmp_path / "app"
        with output.open("wb") as said:
            arguments = ["-m", "uvicorn", "--factory", "app:create_app", "--port", str(port)]
            environ = {**os.environ, **{f"PUSHPULL_{name}": value for name, value in keys.items()}}
            running.append(
                subprocess.Popen([sys.executable, *arguments], cwd=FASTAPI, env=environ, stdout=said, stderr=said)
            )
        wait_until(lambda: "running on" in output.read_text(), "the app runs")
        return f"http://127.0.0.1:{port}"

    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


async def sign_in(page: Page, app: str, user: str) -> Page:
    await page.goto(app)
    await page.locator("#login [name=user]").fill(user)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("main")).to_be_visible()
    return page


async def test_an_order_is_talked_about_in_two_browsers(
    open_context: OpenContext, serve: Serve, start_app: Callable[[int, str], str], mishaps: Mishaps
) -> None:
    port = free_port()
    service = await serve(server={"origins": (f"http://127.0.0.1:{port}",)})
    app = start_app(port, service.url)
    ann = await sign_in(await (await open_context()).new_page(), app, "ann")
    kitchen = await sign_in(await (await open_context()).new_page(), app, "kitchen")

    await ann.locator("#order [name=dish]").fill("Soup")
    await ann.get_by_role("button", name="Order").click()
    for page in (ann, kitchen):
        await expect(page.locator("#log li")).to_have_text(["shop: Soup for ann"])
        await expect(page.locator("#orders option")).to_have_text(["Order 1: Soup"])
    await ann.locator("#talk [name=text]").fill("<b>No onions</b>")
    await ann.get_by_role("button", name="Send").click()

    for page in (ann, kitchen):
        await expect(page.locator("#log li")).to_have_text(["shop: Soup for ann", "ann: <b>No onions</b>"])
    await kitchen.reload()
    await expect(kitchen.locator("#log li")).to_have_text(["shop: Soup for ann", "ann: <b>No onions</b>"])
    mishaps.forgive("401 (Unauthorized)")  # a page that asks who it is for, before anybody has signed in
