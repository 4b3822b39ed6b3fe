"""HTTP, client side, as lean as it gets: connections that are kept, one request under way on each."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Any, Final, cast

import orjson

from pushpull.bench import wire
from pushpull.bench.spread import Spread, now_ticks

LENGTH: Final = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ERROR: Final = b'"error":'
STORED: Final = b'"id":'


class Lane(asyncio.Protocol):
    """One connection. `make` gives the next request, None: there is none; `take` gets each answer's status and body."""

    def __init__(self, make: Callable[[], bytes | None], take: Callable[[int, bytes, int], None]) -> None:
        self._make = make
        self._take = take
        self._transport: asyncio.Transport | None = None
        self._held = b""
        self._asked_at = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, body = self._held.partition(b"\r\n\r\n")
        length = LENGTH.search(head) if found else None
        if length is None or len(body) < int(length[1]):
            return
        self._held = b""
        self._take(int(head[9:12]), body, now_ticks() - self._asked_at)
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError("the service closed a connection before it answered"))

    def _next(self) -> None:
        assert self._transport is not None
        request = self._make()
        if request is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._asked_at = now_ticks()
        self._transport.write(request)


class Posting:
    """Posts of messages over HTTP, `batch` in a call (1: the call for a single one), by a server's key."""

    def __init__(self, host: str, port: int, key: str, *, size: int, batch: int) -> None:
        self._host, self._port, self._key = host, port, key
        self._size = size
        self._batch = batch
        self.calls = 0
        self.stored = 0
        self.refused = 0
        self.times = Spread()

    async def run(self, targets: list[tuple[str, str]], *, lanes: int, seconds: float, most: int) -> None:
        """Post to the (cid, sender)s by turns, over so many connections, until the time is over or `most` calls."""
        end = time.monotonic() + seconds

        def make() -> bytes | None:
            if self.calls >= most or time.monotonic() >= end:
                return None
            self.calls += 1
            return self._request(self.calls, targets)

        loop = asyncio.get_running_loop()
        opened = [
            await loop.create_connection(lambda: Lane(make, self._answered), self._host, self._port)
            for _ in range(lanes)
        ]
        async with asyncio.timeout(seconds + 30):
            await asyncio.gather(*(lane.done for _, lane in opened))

    def _answered(self, status: int, body: bytes, ticks: int) -> None:
        self.times.add(ticks)
        good = body.count(STORED) if 200 <= status < 300 else 0
        self.stored += good
        self.refused += self._batch - good

    def _request(self, number: int, targets: list[tuple[str, str]]) -> bytes:
        if self._batch == 1:
            cid, sender = targets[number % len(targets)]
            return self._post(f"/v1/conversations/{cid}/messages", orjson.dumps(self._message(number, 0, sender)))
        items = []
        for place in range(self._batch):
            cid, sender = targets[(number * self._batch + place) % len(targets)]
            items.append({"cid": cid, **self._message(number, place, sender)})
        return self._post("/v1/messages", orjson.dumps(items))

    def _message(self, number: int, place: int, sender: str) -> dict[str, Any]:
        now = now_ticks()
        body = orjson.Fragment(wire.body(now, self._size))
        return {"from": sender, "cmid": f"{now}-{number}-{place}", "body": body}

    def _post(self, path: str, body: bytes) -> bytes:
        return (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nX-API-Key: {self._key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
