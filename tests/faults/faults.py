"""The faults themselves, each a function that makes one for a stage. A test picks one; soak picks at random."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from tests.faults.fault import Fault
from tests.faults.stage import Stage, StageNode


def node_killed(stage: Stage) -> Fault:
    """SIGKILL of a node: its devices live on another within 5 s. It comes back later."""
    node = stage.node()

    async def begin() -> None:
        await asyncio.to_thread(node.process.kill)

    return Fault(
        name="node killed",
        begin=begin,
        end=lambda: _start(node),
        lasts_s=3,
        heal_within_s=5,
        heal_from="begin",
    )


def node_paused(stage: Stage, *, for_s: float = 10) -> Fault:
    """SIGSTOP of a node: connections stay open and nothing is said. Then SIGCONT."""
    node = stage.node()

    async def begin() -> None:
        node.process.signal(signal.SIGSTOP)

    async def end() -> None:
        node.process.signal(signal.SIGCONT)

    return Fault(name="node paused for 10 s", begin=begin, end=end, lasts_s=for_s, heal_within_s=5)


Make = Callable[[Stage], Fault]


async def _start(node: StageNode) -> None:
    await asyncio.to_thread(node.process.start)
