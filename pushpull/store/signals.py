"""What members say in passing: to whoever listens now, on the conversation's bell; nothing of it is kept.

The script that rings looks whether the sender may, so a word of its removal that was lost changes nothing; and the bell
says which members and settings that was true of, so that a node which has not heard of a removal yet finds out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pushpull.errors import NotAllowed, PushpullError, no_such_conversation, not_a_member
from pushpull.model import Cid, SessionId, Uid
from pushpull.store.batch import Batches
from pushpull.store.keys import Keys, tag_of
from pushpull.store.scripts import SIGNAL, Call, Reply, Wire


class Said(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A signal to be passed on."""

    cid: Cid
    sender: Uid
    session: SessionId  # whose device said it
    body: bytes  # JSON
    most_members: int  # in a conversation with more it is refused
    still: Callable[[], bool]  # whether it is worth saying, asked when it is about to go


class Signals:
    """Bounded by who calls: each signal waits here until its batch has come back."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys
        self._said = Batches(self._pass_on)

    def stop(self) -> None:
        """End what is under way."""
        self._said.stop()

    async def say(self, said: Said) -> None:
        """Ring it, once: a signal that is lost is lost.

        Raises NoSuchConversation, NotAMember, NotAllowed (a reader, or too many members) or StoreUnavailable.
        """
        await self._said.ask(said, lane=self._wire.lane(tag_of(said.cid)))

    async def _pass_on(self, waiting: Sequence[Said]) -> list[PushpullError | None]:
        fresh = [said for said in waiting if said.still()]
        replies = await self._wire.run_many([self._call(said) for said in fresh])
        outcomes = {id(said): _outcome(said, reply) for said, reply in zip(fresh, replies, strict=True)}
        return [outcomes.get(id(said)) for said in waiting]

    def _call(self, said: Said) -> Call:
        keys = self._keys
        names = [keys.meta(said.cid), keys.members(said.cid), keys.roles(said.cid), keys.bell(said.cid)]
        carried = b" ".join((said.sender.encode(), said.session.encode(), said.body))
        return Call(SIGNAL, names, [said.sender, said.most_members, carried])


def _outcome(said: Said, reply: Reply) -> PushpullError | None:
    if reply is None or isinstance(reply, PushpullError):
        return reply
    match reply[1]:
        case b"no_such_conversation":
            return no_such_conversation(said.cid)
        case b"not_a_member":
            return not_a_member(said.sender, said.cid)
        case b"too_many":
            return too_many_to_signal(said.cid, int(reply[2]), said.most_members)
        case _:
            return NotAllowed(f"user {said.sender} is a reader of {said.cid}: expected a member or a moderator")


def too_many_to_signal(cid: Cid, members: int, most: int) -> NotAllowed:
    """Why nobody signals in a large conversation."""
    return NotAllowed(f"{cid} has {members} members: signals go to conversations of up to {most}")
