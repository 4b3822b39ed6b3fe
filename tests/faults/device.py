"""One device of one user, as an app would be: shows what comes, keeps its place, sends, reads; and notes all of it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from typing import Any

from pushpull.client import Changed, Chat, CursorsMoved, Message, Reset, connect
from pushpull.client.closed import ConnectionEnded
from pushpull.errors import PushpullError
from pushpull.model import ZERO_ID, Cid, LogId, Uid, seq_of
from tests.e2e.service import token_of
from tests.faults.diary import Diary
from tests.faults.history import Applied, Began, Left, Told, Withdrawn

OPEN_S = 60.0
TOKEN_S = 2 * 86_400
"""A token is good for so long before and after now: clocks may jump by hours."""


class Device:
    """Lives from `start` to `stop`. What it holds outlives a restart of the app (`restart`), as on a phone's disk."""

    def __init__(
        self, uid: Uid, urls: Sequence[str], diary: Diary, cids: Sequence[Cid], *, pace_s: float, filling: str = ""
    ) -> None:
        """`cids`: where it sends, in turn, one message each `pace_s` on average; 0: never.
        `filling`: in each body."""
        self.uid = uid
        self.name = f"{uid}/phone"
        self.urls = list(urls)
        self.seqs: dict[Cid, int] = {}  # where it stands, in the conversations that it shows
        self.sends: set[asyncio.Task[None]] = set()
        self.ended: BaseException | None = None  # what ended the chat, which should live
        self._diary = diary
        self._cids = list(cids)
        self._pace_s = pace_s
        self._filling = filling
        self._positions: dict[str, str] = {}
        self._numbers = 0
        self._lives = 0
        self._chat: Chat | None = None
        self._living: asyncio.Task[None] | None = None
        self.sending = True

    @property
    def connected(self) -> bool:
        return self._chat is not None and self._chat.connected

    def begin(self, cid: Cid) -> None:
        """A member from the start, or again: the device shows the conversation from its first message on."""
        if cid not in self.seqs:
            self.seqs[cid] = 0
            self._diary.note(Began(device=self.name, cid=cid, pos=ZERO_ID, user=self.uid))

    def start(self) -> None:
        self._lives += 1
        self._living = asyncio.create_task(self._live(), name=self.name)

    async def stop(self) -> None:
        """Leave, sends that are under way with it."""
        if self._living is not None:
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)
        self._living = None

    async def look(self, cid: Cid | None) -> None:
        """This is on the screen now; None: nothing is."""
        if self._chat is not None:
            await self._chat.focus(cid)

    async def restart(self) -> None:
        """The app ends and comes back with what it had stored."""
        await self.stop()
        self.start()

    async def _live(self) -> None:
        try:
            async with self._connect() as chat:
                self._chat = chat
                sending = asyncio.create_task(self._send(chat))
                try:
                    async for event in chat.events():
                        self._take(event)
                finally:
                    sending.cancel()
                    for send in list(self.sends):
                        send.cancel()
                    await asyncio.gather(sending, *self.sends, return_exceptions=True)
        except (PushpullError, AssertionError) as error:
            self.ended = error
        finally:
            self._chat = None

    def _connect(self) -> Chat:
        url: Any = self.urls if len(self.urls) > 1 else self.urls[0]
        now = int(time.time())
        token = token_of(self.uid, iat=now - TOKEN_S, exp=now + TOKEN_S)
        return connect(url, token=token, device="phone", positions=self._positions, unnamed="all", open_s=OPEN_S)

    # ------------------------------------------------------------------------------------------------ receive

    def _take(self, event: Any) -> None:
        match event:
            case Message():
                self._show(event)
            case Reset():
                self._go_back(event)
            case CursorsMoved(cid=cid, delivered=delivered, read=read):
                told = Told(device=self.name, user=self.uid, cid=Cid(cid), delivered=delivered, read=read)
                self._diary.note(told)
            case Changed(cid=cid, change="joined"):
                self.begin(Cid(cid))
            case Changed(cid=cid, change="left" | "deleted") if cid in self.seqs:
                del self.seqs[Cid(cid)]
                self._positions.pop(cid, None)
                self._diary.note(Left(device=self.name, cid=Cid(cid)))

    def _show(self, message: Message) -> None:
        cid = Cid(message.cid)
        self.begin(cid)
        applied = Applied(
            device=self.name, cid=cid, id=LogId(message.id), sender=Uid(message.sender or ""), cmid=message.cmid
        )
        self._diary.note(applied)
        self.seqs[cid], self._positions[cid] = message.seq, message.id

    def _go_back(self, reset: Reset) -> None:
        assert reset.reason != "trimmed", f"{self.name} was told that messages of {reset.cid} are gone"
        cid, pos = Cid(reset.cid), ZERO_ID if reset.reason == "epoch" else LogId(reset.pos)
        self.seqs[cid] = min(self.seqs.get(cid, 0), seq_of(pos))
        self._positions[cid] = reset.pos
        self._diary.note(Withdrawn(device=self.name, cid=cid, pos=pos))

    # ------------------------------------------------------------------------------------------------ send

    async def _send(self, chat: Chat) -> None:
        """Send and read, without waiting for one answer before the next send."""
        while self._pace_s:
            await asyncio.sleep(random.uniform(0, 2 * self._pace_s))
            if not self.sending or not self._cids:
                continue
            cid = random.choice(self._cids)
            if self.seqs.get(cid) and random.random() < 0.3:
                with contextlib.suppress(ConnectionEnded):
                    await chat.read(cid, self.seqs[cid])
            send = asyncio.create_task(self._send_one(chat, cid))
            self.sends.add(send)
            send.add_done_callback(self.sends.discard)

    async def _send_one(self, chat: Chat, cid: Cid) -> None:
        self._numbers += 1
        cmid = f"{self.uid}-{self._numbers}"
        self._diary.tried(cid, self.uid, cmid, connection=f"{self.name}#{self._lives}")
        try:
            sent = await chat.send(cid, {"n": self._numbers, "of": self.uid, "x": self._filling}, cmid=cmid)
        except ConnectionEnded:
            return  # not known
        except PushpullError as error:
            self._diary.refused_with(cid, self.uid, cmid, error.code)
        else:
            if sent.cmid != cmid:  # refused as too old to be told from a repetition, and sent anew
                self._diary.tried(cid, self.uid, sent.cmid)
            self._diary.confirmed_at(sent, self.uid)
