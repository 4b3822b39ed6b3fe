"""What the node wants of a webhook. How it is called over HTTP is the web layer's business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

Outcome = Literal["delivered", "failed", "gone"]


@dataclass(frozen=True, slots=True)
class Answer:
    """`gone`: the receiver wants nothing any more. `why`, for people: holds no URL, body or secret."""

    outcome: Outcome
    why: str = ""
    retry_after_s: float | None = None  # the receiver's own wish


class Webhook(Protocol):
    async def post(self, event: str, body: bytes) -> Answer:
        """Hand over the JSON `body` of the event; returns in bounded time, and raises nothing."""

    async def aclose(self) -> None: ...
