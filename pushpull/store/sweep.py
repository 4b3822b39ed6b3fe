"""Retention where nobody appends: floors that move by age, and what lies below them removed."""

from __future__ import annotations

from typing import Final

from pushpull.model import Cid
from pushpull.store.keys import Keys
from pushpull.store.scripts import SWEEP, Call, Wire

SCAN_COUNT: Final = 500


class Sweeper:
    """Trims logs by age and number. `days`, `retained`: the service's own, 0: off; a conversation may override them."""

    def __init__(self, wire: Wire, keys: Keys, *, days: float, retained: int) -> None:
        self._wire = wire
        self._keys = keys
        self._days = days
        self._retained = retained

    async def sweep(self, cid: Cid, *, now_ms: int | None = None) -> int:
        """Move the floor of one conversation, trim below it; by how many seqs it rose (0 also where there is none)."""
        keys = self._keys
        names = [keys.meta(cid), keys.log(cid), keys.quiet(cid), keys.mentions(cid), keys.bell(cid), keys.past(cid)]
        args = [0 if now_ms is None else now_ms, self._days, self._retained]
        reply = await self._wire.run(Call(SWEEP, names, args), again=True)
        if reply is None:
            return 0
        before, after = reply
        if after > 1:
            await self._drop_below(keys.redacted(cid), after)
            await self._drop_below(keys.edits(cid), after)
        return int(after - before)

    async def _drop_below(self, key: str, floor: int) -> None:
        """Remove the fields `<seq>` and `<seq>:ids` below `floor`. Floors never fall, so no script is needed."""
        cursor: int | bytes = 0
        while True:
            cursor, fields = await self._wire.command("HSCAN", key, cursor, "COUNT", SCAN_COUNT, again=True)
            old = [field for field in fields[::2] if int(field.partition(b":")[0]) < floor]
            if old:
                await self._wire.command("HDEL", key, *old, again=True)
            if int(cursor) == 0:
                return

    async def sweep_all(self, *, every_s: float, now_ms: int | None = None) -> int | None:
        """Sweep every conversation; the sum of what `sweep` returns. None: another node did within `every_s`.

        The lock is not released but expires, so that all nodes together sweep once in `every_s`.
        """
        mine = await self._wire.command("SET", self._keys.sweep_lock(), "1", "NX", "PX", max(1, int(every_s * 1000)))
        if not mine:
            return None
        risen = 0
        async for metas in self._wire.keys_like(self._keys.every_meta(), chunk=SCAN_COUNT):
            for key in metas:
                risen += await self.sweep(self._keys.cid_of_meta(key.decode()), now_ms=now_ms)
        return risen
