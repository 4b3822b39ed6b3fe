"""Announcements to every node, on the control channel: who joined, left, was kicked or revoked, what was deleted, and
what one node's devices of a user must hear from another.

Each has a number, one more than the one before it, so that a node finds out what it missed. A payload is the number, a
space and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from pushpull.model import Cid, Cursors, SessionId, Uid
from pushpull.store.keys import Keys
from pushpull.store.scripts import ANNOUNCE, Call, Wire
from pushpull.store.values import Announcement

USERS_PER_ANNOUNCEMENT: Final = 1000
SAID_AT_ONCE: Final = 100
"""In one script call, which nothing else at Redis gets past: of 1,000 users each that is 2 MB."""


class _Said(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    cid: str | None = None
    users: tuple[str, ...] = ()
    session: str | None = None
    ts: int | None = None
    replaced: bool = False
    node: str | None = None
    question: str | None = None
    cursors: tuple[int, int, int, int] | None = None  # delivered, read, unread, count


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Said).decode


async def announce(wire: Wire, keys: Keys, said: Sequence[Announcement]) -> None:
    """Tell every node. It may be said twice: what is announced is a reason to look, or holds however often it is heard.

    Raises StoreUnavailable: not all of it may have been said.
    """
    payloads = [payload for each in said for payload in _payloads(each)]
    for at in range(0, len(payloads), SAID_AT_ONCE):
        await wire.run(Call(ANNOUNCE, [keys.control()], payloads[at : at + SAID_AT_ONCE]), again=True)


async def last_said(wire: Wire, keys: Keys) -> int:
    """The number of the newest announcement; 0: none was made. Raises StoreUnavailable."""
    return int(await wire.command("GET", keys.control(), again=True) or 0)


def _payloads(said: Announcement) -> Iterator[bytes]:
    """`said`, its users in slices; one payload where it names none."""
    for at in range(0, max(1, len(said.users)), USERS_PER_ANNOUNCEMENT):
        yield _encode(_said(said, said.users[at : at + USERS_PER_ANNOUNCEMENT]))


def _said(said: Announcement, users: tuple[Uid, ...]) -> _Said:
    now = said.cursors
    return _Said(
        kind=said.kind,
        cid=said.cid,
        users=users,
        session=said.session,
        ts=said.ts,
        replaced=said.replaced,
        node=said.node,
        question=said.question,
        cursors=None if now is None else (now.delivered, now.read, now.unread, now.count),
    )


def decode(payload: bytes) -> Announcement:
    """Read an announcement; ValueError (or a subclass) when it is none."""
    number, _, text = payload.partition(b" ")
    said = _decode(text)
    return Announcement(
        number=int(number),
        kind=said.kind,
        cid=None if said.cid is None else Cid(said.cid),
        users=tuple(map(Uid, said.users)),
        session=None if said.session is None else SessionId(said.session),
        ts=said.ts,
        replaced=said.replaced,
        node=said.node,
        question=said.question,
        cursors=None if said.cursors is None else Cursors(*said.cursors),
    )
