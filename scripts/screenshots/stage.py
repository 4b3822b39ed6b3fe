"""What pictures are taken of: a service of their own, as `pushpull serve` starts it, and tabs of Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx2
from playwright.async_api import Browser, Page, async_playwright

IMAGES = Path(__file__).parent.parent.parent / "docs" / "images"
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Containers have 64 MB of /dev/shm; a tab that finds none left dies without a word.
    "--disable-dev-shm-usage",
    *(("--no-sandbox",) if os.geteuid() == 0 else ()),
)
"""Of Chromium, for the tests in a browser, too."""
START_S = 30.0
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 720}


@dataclass(frozen=True, slots=True)
class Stage:
    url: str
    api_key: str
    jwt_secret: str
    browser: Browser

    @contextlib.asynccontextmanager
    async def page(self, path: str, *, phone: bool = False, dark: bool = False) -> AsyncIterator[Page]:
        """A tab at this path, on a desktop or a phone, in light or dark."""
        context = await self.browser.new_context(
            viewport=PHONE if phone else WIDE,
            device_scale_factor=2 if phone else 1,
            color_scheme="dark" if dark else "light",
            locale="en-GB",
        )
        try:
            page = await context.new_page()
            await page.goto(self.url + path)
            yield page
        finally:
            await context.close()


async def shoot(page: Page, name: str) -> None:
    """Keep what the tab shows as docs/images/<name>.png."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=IMAGES / f"{name}.png")
    print(f"docs/images/{name}.png")


@contextlib.asynccontextmanager
async def staged(**settings: object) -> AsyncIterator[Stage]:
    """`settings`: section__key=value, as in the environment."""
    with tempfile.TemporaryDirectory(prefix="pushpull-pictures-") as place:
        async with _service(Path(place), settings) as (url, api_key, jwt_secret), async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=os.environ["PUSHPULL_CHROMIUM"], args=list(ARGUMENTS)
            )
            yield Stage(url, api_key, jwt_secret, browser)
            await browser.close()


@contextlib.asynccontextmanager
async def _service(place: Path, settings: dict[str, object]) -> AsyncIterator[tuple[str, str, str]]:
    api_key, jwt_secret = secrets.token_urlsafe(24), secrets.token_urlsafe(36)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"auth__api_keys": api_key, "auth__jwt_secret": jwt_secret, "log__level": "warning", **settings}
    said = place / "output"
    with said.open("wb") as output:
        process = await _serve(place, port, given, output)
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(START_S), httpx2.AsyncClient(trust_env=False) as client:
            while not await _is_ready(client, url):
                if process.returncode is not None:
                    raise RuntimeError(f"the service ended with {process.returncode}: {said.read_text()[-500:]}")
                await asyncio.sleep(0.1)
        yield url, api_key, jwt_secret
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _serve(place: Path, port: int, given: dict[str, object], output: BinaryIO) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from pushpull.cli import main; main()", "serve"),
        *("--port", str(port), "--data-dir", str(place / "data")),
        cwd=place,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env={**os.environ, **{f"PUSHPULL_{name.upper()}": str(value) for name, value in given.items()}},
        start_new_session=True,
    )


async def _is_ready(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/readyz")).is_success
    except httpx2.TransportError:
        return False
