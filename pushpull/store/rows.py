"""Rows: conversations as their members see them. What many devices ask becomes one call for each conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pushpull.errors import PushpullError
from pushpull.model import DEFAULT_PREFS, Cid, LogId, Role, Row
from pushpull.store import codec
from pushpull.store.keys import Keys
from pushpull.store.scripts import ROWS, Arg, Call, Wire
from pushpull.store.values import RowsRequest

Found = list[Row | None]
"""A row for each conversation that was asked for; None: it does not exist, or the user is no member."""

_ROLES: Final = {role.value.encode(): role.value for role in Role}


class _Asked:
    """What is asked of one conversation, and where each device's row belongs: which request, which of its rows."""

    __slots__ = ("args", "places")

    def __init__(self) -> None:
        self.args: list[Arg] = []
        self.places: list[tuple[int, int]] = []


class Rows:
    """Reads rows. Bounded by who asks: at most one call for each conversation that is named."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def read(self, requests: Sequence[RowsRequest]) -> list[Found | PushpullError]:
        """What each request asks for, in one pipeline; an error where Redis refused one of its conversations."""
        found: list[Found | PushpullError] = [[None] * len(request.wanted) for request in requests]
        asked = _by_conversation(requests)
        calls = [Call(ROWS, self._keys.of_row(cid), each.args) for cid, each in asked.items()]
        # May run twice: cursors only move forward, and what was noted is dropped once.
        replies = await self._wire.run_many(calls, again=True)
        for (cid, each), reply in zip(asked.items(), replies, strict=True):
            _hand_out(found, cid, each.places, reply)
        return found


def _by_conversation(requests: Sequence[RowsRequest]) -> dict[Cid, _Asked]:
    asked: dict[Cid, _Asked] = {}
    for n, request in enumerate(requests):
        uid, device, unnamed = request.uid, request.device, request.unnamed
        backlog = -1 if request.max_backlog is None else request.max_backlog
        for i, wanted in enumerate(request.wanted):
            each = asked.get(wanted.cid)
            if each is None:
                each = asked[wanted.cid] = _Asked()
            each.args += (uid, device, wanted.position or "", unnamed, backlog)
            each.places.append((n, i))
    return asked


def _hand_out(found: list[Found | PushpullError], cid: Cid, places: Sequence[tuple[int, int]], reply: Any) -> None:
    """Put what one call answered where it belongs. Hot when all devices come back: once a device and conversation."""
    if reply is None:
        return
    if isinstance(reply, PushpullError):
        for n, _ in places:
            found[n] = reply
        return
    state, rows = reply
    head = codec.head(state)
    for (n, i), row in zip(places, rows, strict=True):
        mine = found[n]
        if row is None or isinstance(mine, PushpullError):
            continue
        role, joined, delivered, read, unread, mentions, start, reset, before, prefs = row
        mine[i] = Row(
            cid=cid,
            head=head,
            role=_ROLES.get(role) or role.decode(),
            joined=joined,
            delivered=delivered,
            delivered_before=before,
            read=read,
            unread=unread,
            mentions=mentions,
            start=LogId(start.decode()),
            reset=reset.decode() or None,
            prefs=DEFAULT_PREFS if prefs is None else codec.prefs(prefs),
        )
