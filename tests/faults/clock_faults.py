"""Clocks that jump, on Redis and on nodes. Each makes sure on the way that a repeated send is still found."""

from __future__ import annotations

import itertools

from pushpull.model import Sent
from tests.faults.backend import Backend
from tests.faults.clock import Clock
from tests.faults.fault import Fault
from tests.faults.stage import Stage

HOUR_S = 3600
_numbers = itertools.count()


class Repetition:
    """One message of the service's, sent again and again: stored once, whatever the clocks say."""

    def __init__(self, stage: Stage) -> None:
        self._urls = stage.urls
        self._cid = f"again-{next(_numbers)}"
        self._first: Sent | None = None

    async def send(self) -> None:
        """Send it, and something new that moves the log on. AssertionError: it was stored a second time."""
        async with Backend(self._urls) as backend:
            if self._first is None:
                await backend.call(lambda server: server.put_conversation(self._cid, members=["nobody"]))
            sent = await backend.call(lambda server: server.send(self._cid, "again", cmid="again"))
            self._first = self._first or sent
            assert sent.id == self._first.id, f"stored at {self._first.id} and, repeated, at {sent.id}"
            await backend.call(lambda server: server.send(self._cid, "new"))


def redis_clock_jumps(stage: Stage, clock: Clock, *, by_s: int) -> Fault:
    """The clock of Redis jumps, and jumps to the true time again after a while."""
    return _jump(stage, [(clock, by_s)], name=f"clock of Redis jumps {_words(by_s)}")


def node_clocks_jump(stage: Stage) -> Fault:
    """The clocks of two nodes jump apart."""
    clocks = [node.clock for node in stage.random.sample(stage.nodes, 2) if node.clock is not None]
    return _jump(stage, list(zip(clocks, (-HOUR_S, HOUR_S), strict=True)), name="clocks of nodes jump apart by 2 h")


def _jump(stage: Stage, jumps: list[tuple[Clock, int]], *, name: str) -> Fault:
    repeated = Repetition(stage)

    async def begin() -> None:
        await repeated.send()
        for clock, by_s in jumps:
            clock.set(by_s)
        await repeated.send()

    async def end() -> None:
        for clock, _ in jumps:
            clock.set(0)
        await repeated.send()

    return Fault(name=name, begin=begin, end=end, lasts_s=1.5, heal_within_s=2)


def _words(by_s: int) -> str:
    return f"{abs(by_s) // HOUR_S} h {'back' if by_s < 0 else 'forward'}"
