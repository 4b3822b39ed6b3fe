"""A receiver of webhooks for tests: verifies each call with the reference library, answers as told, keeps all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

from standardwebhooks import Webhook

SECRET = "whsec_" + "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"

Answer = tuple[int, dict[str, str]]
Json = dict[str, Any]


class Receiver:
    """Listens at `url` while entered. `answer` decides the status (and headers) of each call; `hold_s` delays it.

    `taken` has the data of each event that was answered 2xx, the first time; `ids` every call's event id.
    """

    def __init__(self) -> None:
        self.port = 0
        self.ids: list[str] = []
        self.bodies: list[Json] = []
        self.headers: list[dict[str, str]] = []
        self.taken: dict[str, Json] = {}
        self.answer: Callable[[int], Answer] = lambda calls: (200, {})
        self.hold_s = 0.0
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()
        self._connections: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=secret-in-the-url"

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Nobody answers there any more, until it is opened again."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._connections):
            writer.close()
        await self._server.wait_closed()

    def forget(self) -> None:
        """What came so far."""
        self.ids, self.bodies, self.headers, self.taken = [], [], [], {}

    def notified(self) -> Counter[str]:
        """How often each user was told, by distinct events that were taken."""
        return Counter(user["user"] for data in self.taken.values() for user in data["users"])

    async def until(self, enough: Callable[[Self], bool], within: float = 10.0) -> None:
        """Wait until `enough` is true of this receiver."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: enough(self))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._take(reader, writer)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:] if line)
        }
        body = await reader.readexactly(int(headers["content-length"]))
        Webhook(SECRET).verify(body, headers)
        payload = json.loads(body)
        event = headers["webhook-id"]
        assert event == payload["data"]["event"]
        self.ids.append(event)
        self.bodies.append(payload)
        self.headers.append(headers)
        status, extra = self.answer(len(self.ids))
        if self.hold_s:
            await asyncio.sleep(self.hold_s)
        if 200 <= status < 300:
            self.taken.setdefault(event, payload["data"])
        lines = [f"HTTP/1.1 {status} Said", "content-length: 0", *(f"{name}: {value}" for name, value in extra.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        async with self._changed:
            self._changed.notify_all()
