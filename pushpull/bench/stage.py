"""What a workload works with: its sizes, a service of its own, the load processes, and someone to tell how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from pushpull.bench.fleet import Fleet, fleet
from pushpull.bench.meter import Meter
from pushpull.bench.scale import Scale
from pushpull.bench.service import Service, running

CALLS_AT_ONCE: Final = 8
MEMBERS_A_CALL: Final = 5_000
SETTLE_S: Final = 0.7
"""After the last message: longer than the service holds cursors back before it writes them (500 ms)."""

Tell = Callable[[str], None]
"""Is told the step that begins."""


@dataclass(frozen=True, slots=True)
class Stage:
    scale: Scale
    processes: int  # of the load
    cores: int
    tell: Tell

    def service(self, **settings: str) -> AbstractAsyncContextManager[Service]:
        """A service with a Redis of its own; `settings` as in the environment, without the prefix."""
        self.tell("starting")
        return running(**settings)

    def fleet(self) -> AbstractAsyncContextManager[Fleet]:
        return fleet(self.processes)

    @asynccontextmanager
    async def both(self, **settings: str) -> AsyncIterator[tuple[Service, Fleet]]:
        """A service and the load processes."""
        async with self.service(**settings) as service, self.fleet() as load:
            yield service, load

    def meter(self, service: Service, load: Fleet) -> Meter:
        return Meter(service, load.pids)


async def make(
    service: Service, conversations: Mapping[str, Sequence[str]], *, settings: Mapping[str, Any] | None = None
) -> None:
    """Make these conversations with these members, several at a time."""
    turns = asyncio.Semaphore(CALLS_AT_ONCE)

    async def one(cid: str, members: Sequence[str]) -> None:
        async with turns:
            await service.server.put_conversation(cid, members=members[:MEMBERS_A_CALL], settings=settings)
            for first in range(MEMBERS_A_CALL, len(members), MEMBERS_A_CALL):
                await service.server.add_members(cid, members[first : first + MEMBERS_A_CALL])

    await asyncio.gather(*(one(cid, members) for cid, members in conversations.items()))


def uids(count: int) -> list[str]:
    return [f"u-{number}" for number in range(count)]


def groups_of(users: Sequence[str], size: int, *, rounds: int = 1) -> dict[str, list[str]]:
    """Conversations of `size` of the users, each user in `rounds` of them and each time with others."""
    made = {}
    for turn in range(rounds):
        shift = turn * (size // 2 + 1) % len(users)
        turned = [*users[shift:], *users[:shift]]
        for first in range(0, len(users), size):
            made[f"g-{turn}-{first // size}"] = turned[first : first + size]
    return made
