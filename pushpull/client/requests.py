"""Frames that are answered by `rid`: asked again in the next session if the line was lost meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from pushpull.client import frames
from pushpull.errors import PushpullError, error_of


class Requests:
    """Bounded by those who wait: each call of `ask` is one request."""

    def __init__(self) -> None:
        self._count = 0
        self._waiting: dict[str, asyncio.Future[frames.Incoming]] = {}
        self._frames: dict[str, dict[str, Any]] = {}  # not sent in this session yet
        self._asked: dict[str, dict[str, Any]] = {}
        self._ended: PushpullError | None = None

    def __len__(self) -> int:
        """Those that wait for their answer."""
        return len(self._waiting)

    async def ask(self, frame: dict[str, Any]) -> frames.Incoming:
        """The answer. Raises the error that the service answers with, or that the chat ended with."""
        if self._ended is not None:
            raise self._ended
        self._count += 1
        rid = f"ask-{self._count}"
        self._asked[rid] = self._frames[rid] = {**frame, "rid": rid}
        future = self._waiting[rid] = asyncio.get_running_loop().create_future()
        try:
            answer: frames.Incoming = await future
            return answer
        finally:
            del self._waiting[rid], self._asked[rid]
            self._frames.pop(rid, None)

    def outgoing(self) -> list[dict[str, Any]]:
        """What is to be sent now."""
        out = list(self._frames.values())
        self._frames.clear()
        return out

    def answer(self, frame: frames.Incoming) -> bool:
        """Hand the frame to whoever asked for it; False when nobody did."""
        future = self._waiting.get(frame.rid) if isinstance(frame.rid, str) else None
        if future is None or future.done():
            return False
        if isinstance(frame, frames.Refusal):
            future.set_exception(error_of(frame.code, frame.message, retry_after_ms=frame.retry_after_ms))
        else:
            future.set_result(frame)
        return True

    def lost(self) -> None:
        """The session is over: ask again in the next one."""
        self._frames = dict(self._asked)

    def end(self, error: PushpullError) -> None:
        """There is no next one."""
        self._ended = error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
