"""What each node says of itself to operators, for a few seconds: beside the table of nodes, which every node reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg, Wire

KEPT_MS: Final = 10_000
"""Five times as long as it takes to be said anew: what a dead node said goes by itself."""


class Reports:
    """One value for each node that lives. Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def say(self, node: str, report: bytes) -> None:
        """Keep `report` in place of what the node said before."""
        await self._wire.command("SET", self._keys.report(node), report, "PX", KEPT_MS, again=True)

    async def of(self, nodes: Sequence[str]) -> list[bytes | None]:
        """What each of `nodes` said last, in their order; None: nothing lately."""
        commands: list[tuple[Arg, ...]] = [("GET", self._keys.report(node)) for node in nodes]
        return await self._wire.commands(commands, again=True)
