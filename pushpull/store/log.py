"""The log of a conversation: append, read, audit.

Every read looks at head, floor and entries in one script, so that what it returns is one instant of the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from pushpull.errors import PushpullError, StoreUnavailable, no_such_conversation
from pushpull.model import ZERO_ID, Cid, Draft, Entry, Head, LogId, Sent
from pushpull.store import codec
from pushpull.store.append import append_call, outcome
from pushpull.store.exchange import Barrier
from pushpull.store.keys import Keys
from pushpull.store.scripts import HEAD, MOVE_EPOCH, READ, READ_BEFORE, Call, Wire
from pushpull.store.values import LogRead, ReadRequest, Verdict

BUCKET_TRIES: Final = 3  # a window that ends between two tries is rare, two that do are a broken clock
DEFAULT_MAX_BYTES: Final = 256 * 1024


class Log:
    """Append to and read from the logs of all conversations."""

    def __init__(
        self,
        wire: Wire,
        keys: Keys,
        *,
        window_ms: int,
        retained: int,
        per_s: float,
        inline_max_bytes: int,
        barrier: Barrier | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`barrier`: what must be confirmed of an append before it counts as stored."""
        self._wire = wire
        self._keys = keys
        self._window_ms = window_ms
        self._retained = retained
        self._per_s = per_s
        self.inline_max_bytes = inline_max_bytes  # may be changed: of bells that are rung from then on
        self._barrier = barrier
        self._clock = clock
        self._bucket_ahead = 0  # by how many windows Redis' clock was ahead of ours when it last said so

    async def append(self, drafts: Sequence[Draft]) -> list[Sent | PushpullError]:
        """Append each draft to its conversation's log; results in the order of `drafts`.

        One script call per conversation, all in one pipeline; keep a call under a few hundred drafts, as Redis does
        nothing else while a script runs. A draft that is refused fails alone, with those of its chain behind it.
        StoreUnavailable where Redis is away, or did not confirm in time what the durability asks for: then it is not
        known what was stored, retry with the same cmids.
        """
        groups: dict[Cid, list[int]] = {}
        for i, draft in enumerate(drafts):
            groups.setdefault(draft.cid, []).append(i)
        results: dict[int, Sent | PushpullError] = {}
        buckets: dict[Cid, int] = {}  # where a log said so; a log that is ahead of Redis' clock has its own
        for _ in range(BUCKET_TRIES):
            groups = await self._append_groups(drafts, groups, buckets, results)
            if not groups:
                return [results[i] for i in range(len(drafts))]
        raise StoreUnavailable("the clock of redis jumps; retry with the same cmid")

    async def _append_groups(
        self,
        drafts: Sequence[Draft],
        groups: dict[Cid, list[int]],
        buckets: dict[Cid, int],
        results: dict[int, Sent | PushpullError],
    ) -> dict[Cid, list[int]]:
        """Send all groups; fill `results`, and `buckets` for the groups that named the wrong one; return these."""
        guess = self._bucket_guess()
        calls = [
            self._append_call(cid, [drafts[i] for i in places], buckets.get(cid, guess))
            for cid, places in groups.items()
        ]
        wrong: dict[Cid, list[int]] = {}
        # Safe to repeat: what a lost call had stored is found by its cmid.
        replies = await self._wire.run_many(calls, again=True, barrier=self._barrier)
        for (cid, places), reply in zip(groups.items(), replies, strict=True):
            if isinstance(reply, PushpullError):
                results.update(dict.fromkeys(places, reply))
            elif reply[0] == b"bucket":
                buckets[cid] = int(reply[1])
                self._bucket_ahead += buckets[cid] - self._bucket_guess()
                wrong[cid] = places
            else:
                results.update(
                    (i, outcome(drafts[i], each, self._window_ms)) for i, each in zip(places, reply, strict=True)
                )
        return wrong

    def _append_call(self, cid: Cid, drafts: Sequence[Draft], bucket: int) -> Call:
        return append_call(
            self._keys,
            cid,
            drafts,
            bucket=bucket,
            window_ms=self._window_ms,
            retained=self._retained,
            per_s=self._per_s,
            inline_max_bytes=self.inline_max_bytes,
        )

    def _bucket_guess(self) -> int:
        return int(self._clock() * 1000) // self._window_ms + self._bucket_ahead

    async def read(
        self,
        cid: Cid,
        *,
        after: int,
        anchor: LogId | None = None,
        limit: int = 100,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> LogRead:
        """Read (after, …] forward: at most `limit` entries and `max_bytes` of bodies, at least one entry.

        With `anchor`, the log id held at `after`, the verdict says whether it is still the log's; a diverged read has
        no entries. Edited entries carry their latest body. Raises NoSuchConversation.
        """
        request = ReadRequest(cid=cid, after=after, anchor=anchor, limit=limit, max_bytes=max_bytes)
        found = (await self.read_many([request]))[0]
        if isinstance(found, PushpullError):
            raise found
        return found

    async def read_many(self, requests: Sequence[ReadRequest]) -> list[LogRead | PushpullError]:
        """Many forward reads in one pipeline; each is a LogRead or the error of that read alone."""
        replies = await self._wire.run_many([self._read_call(request) for request in requests], again=True)
        return [_log_read(request.cid, reply) for request, reply in zip(requests, replies, strict=True)]

    def _read_call(self, request: ReadRequest) -> Call:
        keys, cid = self._keys, request.cid
        names = [keys.meta(cid), keys.members(cid), keys.log(cid), keys.redacted(cid), keys.edits(cid)]
        return Call(READ, names, [request.after, request.anchor or "", max(1, request.limit), request.max_bytes])

    async def read_before(
        self,
        cid: Cid,
        *,
        before: int | None = None,
        oldest: int = 1,
        limit: int = 100,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> LogRead:
        """Read backward from below `before` (None: from the head) down to `oldest`; entries ascending.

        `more`: there are older entries at or above `oldest` and the floor. Raises NoSuchConversation.
        """
        keys = self._keys
        names = [keys.meta(cid), keys.members(cid), keys.log(cid), keys.edits(cid)]
        args = ["" if before is None else before, oldest, max(1, limit), max_bytes]
        reply = await self._wire.run(Call(READ_BEFORE, names, args), again=True)
        if reply is None:
            raise no_such_conversation(cid)
        state, raw, edits, more = reply
        entries = tuple(codec.entry(each, edit) for each, edit in zip(reversed(raw), reversed(edits), strict=True))
        return LogRead(codec.head(state), entries, more=more == b"1")

    async def entry(self, cid: Cid, seq: int) -> Entry | None:
        """The entry at `seq`, or None: redacted, below the floor, not there yet. Raises NoSuchConversation."""
        found = await self.read(cid, after=seq - 1, limit=1)
        return found.entries[0] if found.entries and found.entries[0].seq == seq else None

    async def heads(self, cids: Sequence[Cid]) -> list[Head | None]:
        """The state of each log, in one pipeline; None: no such conversation. For the audit: it reads no entries."""
        keys = self._keys
        calls = [Call(HEAD, [keys.meta(cid), keys.members(cid)]) for cid in cids]
        replies = await self._wire.run_many(calls, again=True)
        for reply in replies:
            if isinstance(reply, PushpullError):
                raise reply
        return [None if reply is None else codec.head(reply) for reply in replies]

    async def move_epoch(self, cid: Cid, expected: str) -> str:
        """Move the epoch on if it still is `expected`; return the epoch in force. Raises NoSuchConversation."""
        keys = self._keys
        reply = await self._wire.run(Call(MOVE_EPOCH, [keys.meta(cid), keys.bell(cid)], [expected]), again=True)
        if reply is None:
            raise no_such_conversation(cid)
        return str(reply.decode())


def _log_read(cid: Cid, reply: Any) -> LogRead | PushpullError:
    if isinstance(reply, PushpullError):
        return reply
    if reply is None:
        return no_such_conversation(cid)
    state, raw, edits, verdict, common, more = reply
    entries = tuple(codec.entry(each, edit) for each, edit in zip(raw, edits, strict=True))
    where = LogId(common.decode()) or ZERO_ID
    return LogRead(codec.head(state), entries, Verdict(verdict.decode()), where, more == b"1")
