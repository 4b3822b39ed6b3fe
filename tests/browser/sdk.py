"""The JavaScript client in a tab: `await Device.open(page, service, "alice")`, and what it received."""

from __future__ import annotations

import asyncio
from typing import Any

from playwright.async_api import Page

from tests.e2e.service import token_of

PATIENCE_S = 20

OPEN = """async ([uid, token, options]) => {
  const { connect } = await import("/sdk/pushpull.js");
  const credentials = token === null ? { getToken: () => window.freshToken() } : { token };
  const chat = (window.chat = connect({ ...credentials, ...options }));
  window.received = [];
  window.happened = [];
  window.wire = [];
  for (const type of ["message", "reset", "notice", "receipt", "signal", "conversation", "cursors", "refused"]) {
    chat.on(type, (event) => { (type === "message" ? received : happened).push(event); });
  }
  for (const type of ["state", "sent", "unsent", "end", "trouble"]) {
    chat.on(type, ({ error, ...event }) => {
      happened.push({ ...event, ...(error ? { code: error.code ?? String(error), closeCode: error.closeCode } : {}) });
    });
  }
  chat.on("wire", ({ direction, frame }) => { wire.push({ direction, ...frame }); });
}"""


class Device:
    """One chat of one tab."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    async def open(
        cls, page: Page, uid: str, *, ready: bool = True, renews: bool = False, token: str | None = None, **options: Any
    ) -> Device:
        """Connect as `uid`; `options` as of `connect`. `renews`: tokens come from the page's function `freshToken`."""
        await page.evaluate(OPEN, [uid, None if renews else token or token_of(uid), options])
        device = cls(page)
        if ready:
            await device.run("chat.ready")
        return device

    async def run(self, expression: str, argument: Any = None) -> Any:
        """What an expression over `chat` (and `$`, the argument) comes to."""
        return await self.page.evaluate(
            f"async ($) => {{ const answer = {expression}; return await answer; }}", argument
        )

    async def until(self, condition: str, argument: Any = None) -> None:
        """Wait until an expression holds."""
        # Not page.wait_for_function: it makes its function of text, which the policy of our pages forbids.
        async with asyncio.timeout(PATIENCE_S):
            while not await self.run(condition, argument):
                await asyncio.sleep(0.02)

    async def send(self, cid: str, body: Any) -> Any:
        return await self.run("chat.send($[0], $[1])", [cid, body])

    async def bodies(self, cid: str) -> list[Any]:
        """Of the messages received, in the order received."""
        bodies: list[Any] = await self.run("received.filter(({ cid }) => cid === $).map(({ body }) => body)", cid)
        return bodies

    async def received(self, cid: str, count: int) -> list[Any]:
        """The same, once there are so many."""
        await self.until("received.filter(({ cid }) => cid === $[0]).length >= $[1]", [cid, count])
        return await self.bodies(cid)

    async def happened(self, kind: str) -> list[Any]:
        """Other events, by type."""
        events: list[Any] = await self.run("happened.filter(({ type }) => type === $)", kind)
        return events

    async def hears(self, kind: str) -> Any:
        """The first of them, once there is one."""
        await self.until("happened.some(({ type }) => type === $)", kind)
        return (await self.happened(kind))[0]

    async def said(self, kind: str) -> list[Any]:
        """The frames of this type that went over its connection, either way."""
        frames: list[Any] = await self.run("wire.filter(({ type }) => type === $)", kind)
        return frames
