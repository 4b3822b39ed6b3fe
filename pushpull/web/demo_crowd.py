"""The crowd of the demo's hot group: so many messages a second for as long as somebody watches.

Theory of operation. A page that shows the demo says again and again that it is there (`watch`); `LEASE_S` after the
last word the crowd is silent. Messages stand at fixed times, every 1/rate seconds by the wall clock, and who says what
at such a time follows from the time alone. Where pages of several nodes ask for the same rate, each node makes the same
messages under the same cmids, and they are stored once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from typing import Final

from pushpull.errors import PushpullError
from pushpull.model import Draft
from pushpull.node.node import Node
from pushpull.web.demo_cast import crowd_size, line_of_the_crowd

log = logging.getLogger(__name__)

RATE_MAX: Final = 100.0
"""Messages a second: half of what a conversation takes (`limits.conversation_sends_per_s`)."""
LEASE_S: Final = 15.0
"""Pages say that they are there every 5 s; browsers let a hidden page speak once a minute, and that is not watching."""
TICK_S: Final = 0.05
LATE_S: Final = 0.5
"""What a crowd that was held up still says; the rest it has swallowed."""

_WHO: Final = ("Our keeper", "The referee", "Number 9", "That pass", "The north stand", "Somebody's dog", "The coach")
_WHAT: Final = (
    "was never offside",
    "deserves a statue",
    "is asleep again",
    "just made my week",
    "can hear us from here",
    "owes me a new scarf",
    "has done it",
    "needs a hug",
    "is on fire tonight",
)
_TAIL: Final = ("!", ".", "…", ". Again!", ". Did you see that?", ". I can't look.", ". Unbelievable.")


class Crowd:
    """One for each process. `rate` is in messages a second; 0: silent."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._until = 0.0  # steady
        self._talking = False

    def rate(self, now: float) -> float:
        """How much is being said now; `now` in steady seconds."""
        return self._rate if now < self._until else 0.0

    def watch(self, node: Node, now: float, *, rate: float | None = None) -> float:
        """Somebody watches, and with `rate` (0 to RATE_MAX) wants so much to be said. Returns the rate in force."""
        self._rate = self.rate(now) if rate is None else rate
        self._until = now + LEASE_S
        if self._rate > 0 and not self._talking:
            self._talking = True
            node.parts.background.spawn(self._talk(node), "crowd of the demo")
        return self._rate

    async def _talk(self, node: Node) -> None:
        said = time.time()
        try:
            while (rate := self.rate(time.monotonic())) > 0 and not node.parts.draining:
                now = time.time()
                lines = due(said, now, rate=rate, crowd=crowd_size(node))
                said = now
                await _say(node, lines)
                await asyncio.sleep(TICK_S)
        finally:
            self._talking = False


async def _say(node: Node, lines: list[Draft]) -> None:
    outcomes = await node.send_many(lines)
    refused = [outcome for outcome in outcomes if isinstance(outcome, PushpullError)]
    if refused:
        log.debug("%d of %d lines of the crowd were refused: %s", len(refused), len(lines), refused[0].code)


def due(after: float, upto: float, *, rate: float, crowd: int) -> list[Draft]:
    """What a crowd of so many says in (after, upto], seconds since 1970; at most what falls into LATE_S before it."""
    if crowd < 1:
        return []
    first = math.floor(max(after, upto - LATE_S) * rate) + 1
    return [_line(f"{rate:g}-{place}", crowd) for place in range(first, math.floor(upto * rate) + 1)]


def _line(cmid: str, crowd: int) -> Draft:
    chance = random.Random(cmid)
    text = f"{chance.choice(_WHO)} {chance.choice(_WHAT)}{chance.choice(_TAIL)}"
    return line_of_the_crowd(chance.randrange(crowd), cmid, text)
