"""The operator's console over two nodes on an ordinary day: a hot group, small talks, somebody who does not ack."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

from playwright.async_api import Page

from pushpull.client import AsyncServer, Chat, connect
from scripts.screenshots.stage import Stage, shoot

SETTINGS = {
    "server__workers": 2,
    "delivery__ack_wait_ms": 3_000,
    "delivery__max_deliver": 50,
    # Nobody listens there: what is due is given up at once.
    "offline__webhook_url": "http://127.0.0.1:9/",
    "offline__webhook_secret": "whsec_cGljdHVyZXMtb2YtdGhlLWNvbnNvbGUh",
    "offline__delay_s": 30,
    "offline__max_deliver": 1,
}
ROOMS = {"match-live": 4_000, "all-hands": 600, "incident-31": 12, "design-team": 8, "support-4711": 2, "book-club": 30}
EACH_S = {"match-live": 0.05, "all-hands": 0.4, "incident-31": 0.5, "design-team": 1.1, "support-4711": 1.7}
DEVICES = 60
ACKS_NOT = "user-5"
FILLED_S = 50.0
"""Charts go back a minute: until then there is little on them."""


async def shoot_all(stage: Stage) -> None:
    async with crowd(stage), stage.page("/console") as page, stage.page("/console", phone=True, dark=True) as phone:
        for each in (page, phone):
            await each.get_by_label("Server key").fill(stage.api_key)
            await each.keyboard.press("Enter")
        await asyncio.sleep(FILLED_S)
        for tab, view, name in (
            (page, "overview", "overview"),
            (phone, "overview", "overview-phone"),
            (phone, "conversations", "conversations-phone"),
            (page, "policy", "policy"),
            (page, "conversations/incident-31", "conversation"),
        ):
            await show(tab, view)
            await shoot(tab, f"console-{name}")


async def show(page: Page, view: str) -> None:
    await page.evaluate("view => { location.hash = `#/${view}`; }", view)
    await asyncio.sleep(3)  # its first answers, and those of the charts


@contextlib.asynccontextmanager
async def crowd(stage: Stage) -> AsyncIterator[None]:
    """Rooms, devices and what is said in them, as long as the block lasts."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(AsyncServer(stage.url, stage.api_key, jwt_secret=stage.jwt_secret))
        for cid, members in ROOMS.items():
            await server.put_conversation(cid, members=[f"user-{n}" for n in range(members)])
        tasks = []
        for number in range(DEVICES):
            uid = f"user-{number}"
            chat = await stack.enter_async_context(connect(stage.url, token=server.token(uid), device="phone"))
            if number % 2:
                await chat.focus("match-live" if number % 3 else "all-hands")
            if uid != ACKS_NOT:
                tasks.append(asyncio.create_task(read(chat)))
        for cid, every_s in EACH_S.items():
            tasks.append(asyncio.create_task(talk(server, cid, every_s)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def read(chat: Chat) -> None:
    async for _ in chat.messages():
        pass


async def talk(server: AsyncServer, cid: str, every_s: float) -> None:
    members = min(ROOMS[cid], DEVICES)
    while True:
        await server.send(cid, {"text": "…"}, sender=f"user-{random.randrange(members)}")
        await asyncio.sleep(random.expovariate(1 / every_s))
