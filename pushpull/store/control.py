"""Announcements to every node, on the control channel: who joined, left, was kicked or revoked, what was deleted, and
what one node's devices of a user must hear from another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from pushpull.model import Cid, Cursors, SessionId, Uid
from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg
from pushpull.store.values import Announcement

USERS_PER_ANNOUNCEMENT: Final = 1000


class _Said(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    cid: str | None = None
    users: tuple[str, ...] = ()
    session: str | None = None
    ts: int | None = None
    replaced: bool = False
    node: str | None = None
    cursors: tuple[int, int, int, int] | None = None  # delivered, read, unread, count


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Said).decode


def publish(keys: Keys, said: Announcement) -> Iterator[tuple[Arg, ...]]:
    """The commands that announce `said`, its users in slices; one command where it names none."""
    for at in range(0, max(1, len(said.users)), USERS_PER_ANNOUNCEMENT):
        yield ("SPUBLISH", keys.control(), _encode(_said(said, said.users[at : at + USERS_PER_ANNOUNCEMENT])))


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
        cursors=None if now is None else (now.delivered, now.read, now.unread, now.count),
    )


def decode(payload: bytes) -> Announcement:
    """Read an announcement; ValueError (or a subclass) when it is none."""
    said = _decode(payload)
    return Announcement(
        kind=said.kind,
        cid=None if said.cid is None else Cid(said.cid),
        users=tuple(map(Uid, said.users)),
        session=None if said.session is None else SessionId(said.session),
        ts=said.ts,
        replaced=said.replaced,
        node=said.node,
        cursors=None if said.cursors is None else Cursors(*said.cursors),
    )
