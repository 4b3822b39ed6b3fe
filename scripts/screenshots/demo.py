"""The demo chat: a talk in the tea kitchen on a screen and a phone, and the arena at fifty messages a second."""

from __future__ import annotations

import asyncio

from playwright.async_api import Page

from scripts.screenshots.stage import Stage, shoot

SETTINGS: dict[str, object] = {}
CROWD_S = 25.0
"""Of fifty messages a second before the picture: nearly half of the chart."""

TALK = (
    ("grace", "Morning! Who broke the build?"),
    ("ada", "It broke itself. I merely watched."),
    ("grace", "The relay, then. I keep the moth in the logbook."),
    ("ada", "Tea, and then we look together?"),
    ("grace", "Two sugars, as ever."),
)


async def shoot_all(stage: Stage) -> None:
    async with stage.page("/demo?as=ada#kitchen") as ada, stage.page("/demo?as=grace#kitchen", phone=True) as grace:
        people = {"ada": ada, "grace": grace}
        for page in people.values():
            await page.wait_for_selector("#log[aria-busy=false]")
        for who, text in TALK:
            await people[who].fill("#text", text)
            await people[who].press("#text", "Enter")
            await asyncio.sleep(0.5)
        await ada.fill("#text", "On my way")
        await asyncio.sleep(1.0)
        await shoot(grace, "demo-phone")
        await shoot(ada, "demo-kitchen")
        await ada.fill("#text", "")
        await _fill_the_arena(ada)
        await shoot(ada, "demo-arena")
        await ada.emulate_media(color_scheme="dark")
        await shoot(ada, "demo-dark")


async def _fill_the_arena(page: Page) -> None:
    await page.click("[data-cid$=arena]")
    await page.fill("#rate", "6")
    await asyncio.sleep(CROWD_S)
