"""A WebSocket service that plays a script: each connection is handed to the next scene."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.client.words import log_id

Scene = Callable[["Peer"], Awaitable[None]]


class Peer:
    """One device, seen from the service."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket
        self.token = socket.request.headers["Authorization"].removeprefix("Bearer ") if socket.request else ""

    async def hear(self, kind: str) -> dict[str, Any]:
        """The next frame, which must be of this kind."""
        async with asyncio.timeout(5):
            frame: dict[str, Any] = orjson.loads(await self._socket.recv())
        assert frame["type"] == kind, f"expected {kind}, heard {frame}"
        return frame

    async def say(self, kind: str, **fields: Any) -> None:
        await self._socket.send(orjson.dumps({"type": kind, **fields}).decode())

    async def say_raw(self, text: str) -> None:
        await self._socket.send(text)

    async def greet(self, *rows: dict[str, Any], **welcome: Any) -> dict[str, Any]:
        """Hear hello, say welcome and the whole list. Returns the hello."""
        hello = await self.hear("hello")
        fields = {"session": "s1", "user": "bob", "device": hello["device"], "node": "n1", "time": 1_000_000}
        ack = {"delay_ms": 5, "max": 100}
        await self.say("welcome", **{**fields, "heartbeat_s": 25, "features": [], "ack": ack, "limits": {}, **welcome})
        await self.say("sync", conversations=list(rows), next=None)
        return hello

    async def push(self, after: int, upto: int, *, cid: str = "c", **more: Any) -> None:
        items = [
            {"id": log_id(seq), "seq": seq, "ts": seq, "from": "ann", "cmid": f"m{seq}", "kind": "message", "body": seq}
            for seq in range(after + 1, upto + 1)
        ]
        fields = {"after": after, "upto": upto, "upto_id": log_id(upto), "items": items, "head": upto, "floor": 1}
        await self.say("messages", cid=cid, **{**fields, **more})

    async def close(self, code: int, reason: str = "") -> None:
        await self._socket.close(code, reason)

    async def stay(self) -> None:
        """Keep the connection until the device goes."""
        await self._socket.wait_closed()


def row(cid: str = "c", start: int = 0, **more: Any) -> dict[str, Any]:
    fields = {"epoch": "1", "head": start, "floor": 1, "delivered": start, "read": start, "joined": 0}
    return {"cid": cid, "start": log_id(start), "unread": 0, "count": start, "mode": "push", **fields, **more}


@contextlib.asynccontextmanager
async def service(*scenes: Scene) -> AsyncIterator[str]:
    """Run the scenes, one connection each; yields the URL. What goes wrong in a scene fails the test."""
    played: list[asyncio.Future[None]] = [asyncio.get_running_loop().create_future() for _ in scenes]
    waiting = list(zip(scenes, played, strict=True))

    async def play(socket: ServerConnection) -> None:
        if not waiting:
            await socket.close(1013, "no more scenes")
            return
        scene, done = waiting.pop(0)
        try:
            await scene(Peer(socket))
            done.set_result(None)
        except Exception as problem:
            done.set_exception(problem)

    async with serve(play, "127.0.0.1", 0, subprotocols=[Subprotocol("pushpull.v1")]) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    async with asyncio.timeout(5):
        await asyncio.gather(*played)
