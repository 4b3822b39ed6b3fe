"""The demo chat in a tab, as a visitor uses it: `await Visitor.arrive(page, service, "ada", room="kitchen")`."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.e2e.service import Service


class Visitor:
    """One tab with the demo in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.log = page.get_by_role("log")
        self.rows = self.log.get_by_role("article")
        self.text = page.get_by_label("Message", exact=True)

    @classmethod
    async def arrive(cls, page: Page, service: Service, who: str, *, room: str = "kitchen") -> Visitor:
        """Come as `who`, to a conversation; "": to the list (on a wide screen there is a conversation beside it)."""
        await page.goto(f"{service.url}/demo?as={who}{room and '#' + room}")
        visitor = cls(page)
        await expect(page.locator(".option").first).to_be_attached()
        if room:
            await expect(page.locator("#log")).to_have_attribute("aria-busy", "false")
        return visitor

    async def write(self, text: str) -> None:
        await self.text.fill(text)
        await self.text.press("Enter")

    async def sees(self, *texts: str) -> None:
        """Wait until these are all the messages on the screen, in this order."""
        await expect(self.log.locator(".text")).to_have_text(list(texts))

    async def seqs(self) -> list[int]:
        """Of the messages in the window."""
        found: list[int] = await self.log.evaluate(
            "log => [...log.querySelectorAll('[data-seq]')].map((row) => Number(row.dataset.seq))"
        )
        return found

    async def open_wire(self) -> None:
        if not await self.page.locator("#wire").is_visible():
            await self.page.get_by_role("button", name="Wire", exact=True).click()

    def switch(self, title: str) -> Locator:
        return self.page.get_by_role("switch", name=title)

    def figure(self, name: str) -> Locator:
        """A figure of the panel."""
        return self.page.locator(f'[data-value="{name}"]')

    async def number(self, name: str) -> int:
        words = (await self.figure(name).inner_text()).replace(",", "").split()
        return int(words[0]) if words and words[0].isdigit() else 0

    async def until(self, name: str, least: int, within: float = 20.0) -> None:
        """Wait until a figure of the panel has come so far."""
        async with asyncio.timeout(within):
            while await self.number(name) < least:
                await asyncio.sleep(0.05)

    async def nothing_is_lost(self) -> None:
        """What the page itself found when it checked each message."""
        await expect(self.page.locator(".verdict")).to_have_text("Every message, once, in order")
        await expect(self.figure("Missing")).to_have_text("0")
        await expect(self.figure("Shown twice")).to_have_text("0")

    async def look(self, script: str, argument: Any = None) -> Any:
        return await self.page.evaluate(script, argument)
