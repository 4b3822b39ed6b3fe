"""Lines that become a conversation: what comes into the service, stored a batch at a time."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pushpull.delivery.intake import Intake, Summary, line_bytes
from pushpull.delivery.transfer import Conversation, Splitter
from pushpull.errors import PushpullError
from pushpull.model import Cid, MovedMember, MovedMessage, seq_of
from pushpull.settings import Limits
from pushpull.store.imports import Import, Imports, Refused, Whole

BATCH_LINES: Final = 200
BATCH_BYTES: Final = 512 * 1024
"""Of lines in one script: some 2 ms in which Redis does nothing else."""

CheckSettings = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""The settings of the first line, checked; raises PushpullError."""


@dataclass(frozen=True, slots=True)
class Imported:
    """The conversation that a file became. `made`: by this call; else it was there, made of the same file."""

    made: bool
    head: int
    summary: Summary
    added: int  # lines of messages and members that were not stored before this call


class Importing:
    """One file on its way into `cid`. Holds one batch, and a line that is not over yet."""

    def __init__(self, imports: Imports, cid: Cid, limits: Limits, check_settings: CheckSettings) -> None:
        self._imports = imports
        self._cid = cid
        self._check_settings = check_settings
        self._splitter = Splitter(line_bytes(limits))
        self._intake = Intake(cid, limits, int(time.time() * 1000))
        self._under_way: Import | None = None  # once the first line was taken
        self._settings: Mapping[str, Any] = {}
        self._stored = 0  # the seq of the last line that is stored
        self._members = 0  # that are stored
        self._batch: list[tuple[int, MovedMessage | MovedMember]] = []  # each with the number of its line
        self._batch_bytes = 0
        self._added = 0

    async def run(self, chunks: AsyncIterator[bytes]) -> Imported:
        """Take the file, as it comes. Raises PushpullError; what was stored by then stays, and is not stored again."""
        async for chunk in chunks:
            for line in self._splitter.take(chunk):
                await self._take(line)
        if rest := self._splitter.last():
            await self._take(rest)
        await self._store_batch()
        return await self._finish(self._intake.finish())

    async def _take(self, line: bytes) -> None:
        if self._under_way is None:
            await self._begin(self._intake.first(line), line)
            return
        try:
            taken = self._intake.take(line)
        except PushpullError:
            await self._store_batch()  # what comes before a bad line is good
            raise
        if taken is None:
            return
        if self._batch and (self._is_full(line) or isinstance(taken, MovedMember) != self._holds_members):
            await self._store_batch()
        self._batch.append((self._intake.line, taken))
        self._batch_bytes += len(line)

    def _is_full(self, line: bytes) -> bool:
        return len(self._batch) >= BATCH_LINES or self._batch_bytes + len(line) > BATCH_BYTES

    @property
    def _holds_members(self) -> bool:
        return bool(self._batch) and isinstance(self._batch[0][1], MovedMember)

    async def _begin(self, first: Conversation, line: bytes) -> None:
        try:
            self._settings = self._check_settings(first.settings)
        except PushpullError as error:
            raise type(error)(f"line 1: {error.message}") from None
        self._stored = first.floor - 1
        # The first line names the file: with another one, it is another import.
        file = hashlib.sha256(line).hexdigest()[:32]
        self._under_way = await self._imports.begin(self._cid, file, floor=first.floor)

    async def _store_batch(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        if not batch:
            return
        try:
            await self._store([each for _, each in batch])
        except Refused as refused:
            raise type(refused.error)(f"line {batch[refused.at][0]}: {refused.error.message}") from None

    async def _store(self, batch: Sequence[MovedMessage | MovedMember]) -> None:
        """Store lines of one kind, unless the conversation is there already: then the file is only read to its end."""
        assert self._under_way is not None
        goes_on = self._under_way.number > 0
        messages = [each for each in batch if isinstance(each, MovedMessage)]
        members = [each for each in batch if isinstance(each, MovedMember)]
        if messages:
            if goes_on:
                self._added += await self._imports.add_messages(
                    self._under_way, messages, before=self._stored, floor=self._intake.floor
                )
            self._stored = messages[-1].seq
        if members:
            if goes_on:
                self._added += await self._imports.add_members(self._under_way, members, before=self._members)
            self._members += len(members)

    async def _finish(self, summary: Summary) -> Imported:
        assert self._under_way is not None
        made = await self._imports.finish(
            self._under_way,
            Whole(
                sha256=summary.sha256,
                seq=self._stored,
                members=self._members,
                last=summary.last,
                last_ms=summary.last_ms,
                floor=summary.floor,
                count=summary.count,
                settings=self._settings,
            ),
        )
        head = self._stored if summary.last is None else seq_of(summary.last)
        return Imported(made, head, summary, self._added)
