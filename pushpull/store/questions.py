"""Questions that one node puts to all the others, and their answers, each kept for a few seconds.

The question is announced on the control channel; whoever answers writes a field of the question's own hash, and the one
who asked looks there until it has what it wants or has waited long enough.
"""

from __future__ import annotations

from typing import Final

from pushpull.model import Cid, Uid
from pushpull.store.control import announce
from pushpull.store.keys import Keys
from pushpull.store.scripts import Wire
from pushpull.store.values import Announcement

KEPT_MS: Final = 10_000
"""Ten times as long as anybody waits for an answer: those that come too late go by themselves."""


class Questions:
    """Raises StoreUnavailable. A question's answers: one for each node."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def ask(self, question: str, uid: Uid, cid: Cid) -> None:
        """Ask every node how the user's sessions stand in a conversation, under a name nobody used before."""
        said = Announcement(kind="asked", cid=cid, users=(uid,), question=question)
        await announce(self._wire, self._keys, [said])

    async def answer(self, question: str, node: str, answer: bytes) -> None:
        """What `node` has to say."""
        key = self._keys.answers(question)
        await self._wire.commands([("HSET", key, node, answer), ("PEXPIRE", key, KEPT_MS)], again=True)

    async def answers(self, question: str) -> dict[str, bytes]:
        """node → its answer, as far as they are there."""
        flat = await self._wire.command("HGETALL", self._keys.answers(question), again=True)
        return {node.decode(): said for node, said in zip(flat[::2], flat[1::2], strict=True)}
