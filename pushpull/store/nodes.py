"""The nodes that serve: each says every now and then that it lives, and is dead when it has not for a while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from pushpull.store.keys import Keys
from pushpull.store.scripts import BEAT, NODES, Call, Wire
from pushpull.store.values import NodeRecord

ALIVE_MS: Final = 6_000
"""Three beats. A node that was killed is off the tables that much later; one that is paused for longer has to enter
its sessions anew."""
FORGOTTEN_MS: Final = 24 * 3_600_000  # a node that was killed and never came back under its id

_encode = msgspec.json.Encoder().encode
_decode_info = msgspec.json.Decoder(dict[str, Any]).decode


class Nodes:
    """The table of nodes, and who was alive when it was last looked at."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys
        self.known: frozenset[str] = frozenset()  # alive at the last look

    async def beat(self, node: str, info: Mapping[str, object]) -> bool:
        """Say that `node` lives, and what it says of itself (JSON values).

        False: until now the others had to take it for dead, or it is new.
        """
        age_ms = await self._wire.run(Call(BEAT, [self._keys.nodes()], [node, _encode(dict(info))]), again=True)
        return age_ms != b"" and int(age_ms) <= ALIVE_MS

    async def alive(self) -> list[NodeRecord]:
        """The nodes that have beaten within 6 s, by id. Those silent for a day are forgotten on the way."""
        now, flat = await self._wire.run(Call(NODES, [self._keys.nodes()]), again=True)
        everyone = [_node(int(now), *pair) for pair in zip(flat[::2], flat[1::2], strict=True)]
        forgotten = [node.id for node in everyone if node.age_ms > FORGOTTEN_MS]
        if forgotten:
            await self._wire.command("HDEL", self._keys.nodes(), *forgotten, again=True)
        alive = sorted((node for node in everyone if node.age_ms <= ALIVE_MS), key=lambda node: node.id)
        self.known = frozenset(node.id for node in alive)
        return alive

    async def dead(self, nodes: Iterable[str]) -> frozenset[str]:
        """Those of `nodes` that do not live. Looks at the table where one is not known: it may be new."""
        asked = frozenset(nodes)
        if not asked <= self.known:
            await self.alive()
        return asked - self.known

    async def leave(self, node: str) -> None:
        """Take a node off the table: it goes away on purpose."""
        await self._wire.command("HDEL", self._keys.nodes(), node, again=True)


def _node(now_ms: int, name: bytes, value: bytes) -> NodeRecord:
    beat_ms, _, info = value.partition(b" ")
    return NodeRecord(name.decode(), max(0, now_ms - int(beat_ms)), _decode_info(info))
