"""A device at the level of frames: says what a test tells it to, and hears everything. No client library in it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from typing import Any, Self

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions import Extension
from websockets.typing import Subprotocol

from tests import documented

HEAR_S = 10.0
Frame = dict[str, Any]


class Wire:
    """One WebSocket. What was heard and not asked for yet is kept, in order."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._heard: deque[Frame] = deque()
        self.rows: dict[str, Frame] = {}  # cid -> the row of its last `sync` or `conversation`

    @classmethod
    async def open(cls, url: str, *, deflate: bool = False, **headers: str) -> Self:
        """Upgrade, and nothing else. `url` is that of the WebSocket; underscores in header names are dashes.

        `deflate`: offer permessage-deflate; then all it says is compressed.
        """
        socket = await connect(
            url,
            subprotocols=[Subprotocol("pushpull.v1")],
            additional_headers={name.replace("_", "-"): value for name, value in headers.items()},
            compression="deflate" if deflate else None,
            ping_interval=None,
            max_size=None,
            max_queue=None,  # a test that looks away must not look like a slow device
            close_timeout=1,
            proxy=None,
        )
        return cls(socket)

    async def greet(self, *, token: str | None = None, device: str = "phone", pages: int = 1, **hello: Any) -> Frame:
        """Say hello, hear `welcome` and the first `sync`, ask for `pages` − 1 more. Returns the welcome."""
        await self.say("hello", device=device, **({} if token is None else {"token": token}), **hello)
        welcome = await self.hear("welcome")
        page = await self.hear("sync")
        for _ in range(pages - 1):
            await self.say("sync", after=page["next"])
            page = await self.hear("sync")
        return welcome

    @property
    def extensions(self) -> list[Extension]:
        """What the service agreed to."""
        return list(self._socket.protocol.extensions)

    async def say(self, kind: str, /, **fields: Any) -> None:
        """Send one frame of this type."""
        await self.say_text(json.dumps({"type": kind, **fields}))

    async def say_text(self, text: str | bytes) -> None:
        """Send what is no frame, perhaps: text as a text frame, bytes as a binary one."""
        await self._socket.send(text)

    async def hear(self, kind: str | tuple[str, ...], /, *, within: float = HEAR_S, **fields: Any) -> Frame:
        """The next frame of this type, or one of these, with these values; those before it are kept for others."""
        for at, frame in enumerate(self._heard):
            if _fits(frame, kind, fields):
                del self._heard[at]
                return frame
        passed: list[Frame] = []
        try:
            async with asyncio.timeout(within):
                while not _fits(frame := await self._receive(), kind, fields):
                    passed.append(frame)
        except (TimeoutError, ConnectionClosed) as problem:
            raise AssertionError(
                f"no {kind} {fields or ''} within {within} s but {[*self._heard, *passed]} ({problem})"
            ) from None
        finally:
            self._heard.extend(passed)
        return frame

    async def hears_nothing(self, kind: str, /, *, within: float, **fields: Any) -> None:
        """Fail if such a frame has come, or does within this time (s)."""
        await self._listen(within)
        assert not [frame for frame in self._heard if _fits(frame, kind, fields)]

    async def heard(self, *, within: float) -> list[Frame]:
        """Everything heard so far and in the next `within` s, in order; it is not kept."""
        await self._listen(within)
        everything = list(self._heard)
        self._heard.clear()
        return everything

    def heard_so_far(self, kind: str) -> list[Frame]:
        """The frames of this type that nobody asked for yet; after `closed`, all that will ever come."""
        return [frame for frame in self._heard if frame["type"] == kind]

    @property
    def kept(self) -> list[Frame]:
        """Everything heard that nobody asked for yet, in order."""
        return list(self._heard)

    async def collect(self, cid: str, upto: int, *, ack: bool = True, after: int = 0) -> list[Frame]:
        """The items of `cid` in (after, upto], from `messages` frames as they come; each frame acked unless not to be.

        Fails on a gap and on a frame that goes past `upto`; frames that are wholly old are passed over.
        """
        items: list[Frame] = []
        at = after
        while at < upto:
            frame = await self.hear("messages", cid=cid)
            if frame["upto"] <= at:
                continue
            assert frame["after"] <= at, f"a gap: at {at}, heard {frame['after']}..{frame['upto']}"
            items += [item for item in frame["items"] if item["seq"] > at]
            at = frame["upto"]
            if ack:
                await self.say("ack", acks={cid: at})
        assert at == upto
        return items

    async def pull(self, cid: str, *, after: int) -> list[Frame]:
        """The items of a page; asked for again where the service says that it cannot serve it at the moment."""
        while True:
            await self.say("pull", cid=cid, after=after)
            frame = await self.hear(("messages", "error"), cid=cid)
            if frame["type"] == "messages":
                assert frame["after"] == after
                return list(frame["items"])
            assert frame["temporary"], frame
            await asyncio.sleep(frame["retry_after_ms"] / 1000)

    async def error(self, code: str, **fields: Any) -> str:
        """The message of the next `error`, which must have this code and these values; it must be a clear one."""
        frame = await self.hear("error", **fields)
        assert frame["code"] == code, frame
        assert frame["message"][:1] == frame["message"][:1].lower(), frame
        return str(frame["message"])

    async def closed(self, within: float = HEAR_S) -> tuple[int, str]:
        """Wait for the close: its code and reason. Frames that came before it are kept."""
        with pytest.raises(ConnectionClosed) as end:
            await self._receive_for(within)
        said = end.value.rcvd
        assert said is not None, "the connection was cut without a close frame"
        return said.code, said.reason

    async def leave(self) -> None:
        await self._socket.close()

    def cut(self) -> None:
        """End as a phone that lost its network: no close frame."""
        self._socket.transport.abort()

    async def _listen(self, within: float) -> None:
        with contextlib.suppress(TimeoutError):
            await self._receive_for(within)

    async def _receive_for(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while True:
                self._heard.append(await self._receive())

    async def _receive(self) -> Frame:
        text = await self._socket.recv()
        assert isinstance(text, str), "the service sent a binary frame"
        frame: Frame = orjson.loads(text)
        documented.check_frame("from_service", frame)
        rows = frame.get("conversations", [frame["row"]] if "row" in frame else [])
        self.rows.update({row["cid"]: row for row in rows})
        return frame


def _fits(frame: Frame, kind: str | tuple[str, ...], fields: Frame) -> bool:
    kinds = (kind,) if isinstance(kind, str) else kind
    return frame["type"] in kinds and all(frame.get(name) == value for name, value in fields.items())
