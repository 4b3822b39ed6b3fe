"""Conversations: made, configured, deleted, listed; and each as one member's device sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pushpull.errors import Invalid, no_such_conversation
from pushpull.model import Cid, Head, Role, Row, Uid, ts_of
from pushpull.store import codec
from pushpull.store.batch import Batches
from pushpull.store.control import announce
from pushpull.store.erasure import buckets_of
from pushpull.store.jobs import forget_due
from pushpull.store.keys import Keys, tag_of, tag_of_user
from pushpull.store.members import Members
from pushpull.store.rows import Rows
from pushpull.store.scripts import DELETE, HEAD, PUT, Arg, Call, Wire
from pushpull.store.values import Announcement, RowRequest, RowsRequest, Unnamed

SCHEMA_VERSION: Final = 1
"""What this release writes into meta; a node refuses a Redis that holds a higher one."""

DELETED_KEPT_MS: Final = 30 * 24 * 3600 * 1000
"""How long it is known of a name that its conversation was deleted. To a device that was away since, one that is made
later is a log that lost its tail; what it sends again is too old by then."""

TOLD_AT_ONCE: Final = 1000
"""Members of a deleted conversation: one announcement, and as many lists."""


class Conversations:
    """Make, change, delete and list conversations."""

    def __init__(self, wire: Wire, keys: Keys, members: Members, *, window_ms: int) -> None:
        self._wire = wire
        self._keys = keys
        self._members = members
        self._window_ms = window_ms
        self._lists = Batches(self._read_lists)
        self._rows = Batches(Rows(wire, keys).read)

    def stop(self) -> None:
        """End what is under way of what was gathered."""
        self._lists.stop()
        self._rows.stop()

    async def put(
        self, cid: Cid, changes: Mapping[str, Any], *, members: Sequence[tuple[Uid, Role]] | None = None
    ) -> bool:
        """Make `cid` with these settings and members (True), or change the settings of the one there is (False).

        A None among `changes` takes a setting back to the service's own. Values are checked by the caller. Raises
        Invalid for an unknown setting, and for members of one that exists; LimitReached before anything is made. The
        same call again, its answer having been lost or its members not all entered, is no such case: it completes.
        """
        kept, dropped = codec.setting_fields(changes)
        if members:
            await self._members.check_room(cid, [uid for uid, _ in members])
        args: list[Arg] = [SCHEMA_VERSION, int(members is not None), len(kept)]
        args.extend(part for pair in kept.items() for part in pair)
        keys = [self._keys.meta(cid), self._keys.bell(cid), self._keys.deleted(cid)]
        reply = await self._wire.run(Call(PUT, keys, [*args, *dropped]))
        if codec.is_error(reply):
            if not await self._members.are_all_among(cid, [uid for uid, _ in members or ()]):
                raise Invalid(f"conversation {cid} exists with other members: initial members are for a new one")
            args[1] = 0
            reply = await self._wire.run(Call(PUT, keys, [*args, *dropped]))
        if members:
            await self._members.add(cid, members)
        return bool(reply == b"created")

    async def head(self, cid: Cid) -> Head:
        """The state of the log. Raises NoSuchConversation."""
        reply = await self._wire.run(Call(HEAD, [self._keys.meta(cid), self._keys.members(cid)]), again=True)
        if reply is None:
            raise no_such_conversation(cid)
        return codec.head(reply)

    async def delete(self, cid: Cid) -> None:
        """Remove `cid` with all it holds, then tell its members' devices and take it off their lists, some at a time.

        Whatever interrupts that, the same call again goes on with it. Raises NoSuchConversation.
        """
        last_id = await self._wire.command("HGET", self._keys.meta(cid), "last", again=True)
        if last_id is not None:
            # May run twice: the second finds nothing, and goes on.
            keys = self._all_keys(cid, ts_of(last_id.decode()))
            await self._wire.run(Call(DELETE, keys, [DELETED_KEPT_MS]), again=True)
            await forget_due(self._wire, self._keys, cid)
        told = await self._take_off_lists(cid)
        if last_id is None and not told:
            raise no_such_conversation(cid)

    async def _take_off_lists(self, cid: Cid) -> int:
        """How many members there still were to be told that `cid` was deleted."""
        gone, told = self._keys.gone(cid), 0
        while raw := await self._wire.command("ZRANGE", gone, 0, TOLD_AT_ONCE - 1, again=True):
            members = [Uid(name.decode()) for name in raw]
            await announce(self._wire, self._keys, [Announcement(kind="deleted", cid=cid, users=tuple(members))])
            await self._members.forget_hints(cid, members)
            await self._wire.command("ZREM", gone, *members, again=True)
            told += len(members)
        return told

    def _all_keys(self, cid: Cid, last_ms: int) -> list[str]:
        """Every key of the conversation, whose last entry is of `last_ms`, in the order of the script."""
        keys = self._keys
        plain = (keys.log, keys.roles, keys.delivered, keys.read, keys.quiet, keys.mentions, keys.redacted)
        rest = (keys.edits, keys.pending, keys.prefs, keys.told, keys.claim, keys.past)
        names = [keys.meta(cid), keys.bell(cid), keys.members(cid), keys.gone(cid), keys.deleted(cid)]
        names += [name(cid) for name in (*plain, *rest)]
        return names + [keys.cmids(cid, bucket) for bucket in buckets_of(last_ms, self._window_ms)]

    async def rows(
        self,
        uid: Uid,
        wanted: Sequence[RowRequest],
        *,
        unnamed: Unnamed = "delivered",
        max_backlog: int | None = None,
        device: str = "",
    ) -> list[Row | None]:
        """Each conversation as `uid` sees it; None: it does not exist, or `uid` is no member.

        `start` is where `device` begins: the position it names, if the log still knows it; else by `unnamed`; never
        below the floor nor, with history "joined", below where the user joined. A position in a log that was deleted
        before this one was made counts as none (`reset` says "deleted"). A device further behind than
        `max_backlog` begins at the head, unless it must first throw a diverged tail away. What was noted as pending
        for `device` is dropped, and `delivered` moves up to a position that the log knows.

        What several ask at the same time goes in one pipeline, a call for each conversation.
        """
        lanes: dict[int, list[int]] = {}
        for i, each in enumerate(wanted):
            lanes.setdefault(self._wire.lane(tag_of(each.cid)), []).append(i)
        request = RowsRequest(uid=uid, wanted=wanted, unnamed=unnamed, max_backlog=max_backlog, device=device)
        if len(lanes) == 1:
            return await self._rows.ask(request, lane=next(iter(lanes)))
        rows: list[Row | None] = [None] * len(wanted)
        parts = [replace(request, wanted=[wanted[i] for i in places]) for places in lanes.values()]
        asked = [self._rows.ask(part, lane=lane) for lane, part in zip(lanes, parts, strict=True)]
        for places, found in zip(lanes.values(), await asyncio.gather(*asked), strict=True):
            for i, row in zip(places, found, strict=True):
                rows[i] = row
        return rows

    async def listed(self, uid: Uid, *, after: Cid | None = None, limit: int = 100) -> tuple[list[Cid], Cid | None]:
        """A page of the user's conversations by name, and the cid to go on after (None: that was all).

        These are hints: some may be left or deleted, which `rows` shows; `forget_hint` takes those off the list.
        """
        start = f"({after}" if after else "-"
        question = ("ZRANGEBYLEX", self._keys.conversations(uid), start, "+", "LIMIT", 0, limit + 1)
        found = await self._lists.ask(question, lane=self._wire.lane(tag_of_user(uid)))
        cids = [Cid(each.decode()) for each in found[:limit]]
        return cids, cids[-1] if len(found) > limit else None

    async def _read_lists(self, commands: Sequence[tuple[Arg, ...]]) -> list[list[bytes]]:
        return await self._wire.commands(commands, again=True)

    async def forget_hint(self, uid: Uid, cids: Sequence[Cid]) -> None:
        """Take conversations `uid` is no member of off its list; those it is a member of stay."""
        for cid in cids:
            await self._members.forget_hints(cid, [uid])
