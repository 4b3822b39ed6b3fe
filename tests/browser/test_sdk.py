"""The JavaScript client in Chromium, over the running service."""

from __future__ import annotations

from playwright.async_api import BrowserContext

from tests.browser.conftest import OpenContext, open_blank
from tests.browser.sdk import Device
from tests.e2e.service import LocalService


async def test_two_computers_talk(open_context: OpenContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    alice = await Device.open(await open_blank(await open_context(), service), "alice")
    bob = await Device.open(await open_blank(await open_context(), service), "bob")

    sent = await alice.send("tea", {"text": "Is the kettle on?"})
    await bob.send("tea", {"text": "It is"})

    assert sent["dup"] is False
    for device in (alice, bob):
        assert await device.received("tea", 2) == [{"text": "Is the kettle on?"}, {"text": "It is"}]


async def test_a_reload_goes_on_where_the_page_was(context: BrowserContext, service: LocalService) -> None:
    await service.room("tea", "alice", "bob")
    page = await open_blank(context, service)
    alice = await Device.open(page, "alice")
    await service.post("tea", "1", "first", sender="bob")
    await alice.received("tea", 1)
    await alice.until("wire.some(({ type }) => type === 'ack')")
    name = await alice.run("chat.device")

    await page.reload()
    await service.post("tea", "2", "second", sender="bob")
    again = await Device.open(page, "alice")

    assert await again.received("tea", 1) == ["second"]
    assert await again.run("chat.device") == name
    assert await again.happened("reset") == []
