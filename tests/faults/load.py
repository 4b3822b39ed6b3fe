"""What runs while things break: a small company of users that talk, read, join and leave, and a backend that posts.

Each third of the conversations is delivered in another way: pushed, gathered and pushed, notified. Most messages are
sent by devices, each on its own connection; others by the backend over HTTP, every fourth of them twice under one cmid.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, Self

from pushpull.errors import PushpullError
from pushpull.model import Cid, LogId, Uid, seq_of
from tests.faults.backend import Backend
from tests.faults.checker import Row, Stored, judge
from tests.faults.device import Device
from tests.faults.diary import Diary
from tests.faults.history import Joining, Parted
from tests.faults.verdict import Verdict

WAYS: tuple[dict[str, Any], ...] = ({"mode": "push"}, {"mode": "push", "push_window_ms": 200}, {"mode": "notify"})

CONNECT_S = 30.0
SETTLE_S = 30.0
POLL_S = 0.02
POST_EVERY_S = 0.06
CHURN_EVERY_S = 0.4

REST_S = 15.0
"""A try that nobody waits for any more may be carried out when a node or a line comes back. (Where a node sees that its
caller is gone it does not, but it may hang behind that.) A member whose move took more than one rests until then: what
was asked last would not be what is done last."""

Logs = dict[Cid, list[Stored]]


class Load:
    """`tag` goes before the names of its conversations, so that several can follow each other on one service.

    `guests` are members of all conversations whose devices are none of the load's. `comers` of its own join and leave
    again and again. `body_bytes` fill each body.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        tag: str = "",
        users: int = 40,
        comers: int = 3,
        conversations: int = 10,
        pace_s: float = 0.8,
        body_bytes: int = 0,
        guests: Sequence[Uid] = (),
    ) -> None:
        self.diary = Diary()
        self.urls = list(urls)
        self.cids = [Cid(f"{tag}c{number}") for number in range(conversations)]
        self.members: dict[Cid, set[Uid]] = {cid: set(guests) for cid in self.cids}
        self._filling = "x" * body_bytes
        self.devices = [self._device(number, tag, pace_s) for number in range(users)]
        self.comers = [self._comer(number, tag) for number in range(comers)]
        self.backend = Backend(urls)
        self._movers = Backend(urls)  # of its own: what becomes of its tries concerns those who move
        self._probes = itertools.count()
        self._tasks: list[asyncio.Task[None]] = []
        self._going = True
        self._moving = asyncio.Lock()
        self._moves: tuple[Uid, Cid] | None = None  # whose call is under way
        self._rested: dict[tuple[Uid, Cid], float] = {}  # who may move again when
        self.last_logs: Logs = {}  # as read last

    def _device(self, number: int, tag: str, pace_s: float) -> Device:
        cids = [self.cids[(number + 3 * step) % len(self.cids)] for step in range(3)]
        return self._enlist(
            Device(
                Uid(f"{tag}u{number}"), self._spread(number), self.diary, cids, pace_s=pace_s, filling=self._filling
            ),
            cids,
        )

    def _comer(self, number: int, tag: str) -> Device:
        """One who joins and leaves again and again, and only listens."""
        cids = self.cids[number::3]
        return self._enlist(Device(Uid(f"{tag}v{number}"), self._spread(number), self.diary, [], pace_s=0), cids)

    def _enlist(self, device: Device, cids: Sequence[Cid]) -> Device:
        for cid in cids:
            self.members[cid].add(device.uid)
        return device

    def _spread(self, number: int) -> list[str]:
        at = number % len(self.urls)
        return self.urls[at:] + self.urls[:at]

    @property
    def everybody(self) -> list[Device]:
        return self.devices + self.comers

    def of(self, cid: Cid) -> list[Device]:
        """The devices of its members."""
        return [device for device in self.everybody if device.uid in self.members[cid]]

    # ------------------------------------------------------------------------------------------------ life

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def _start(self) -> None:
        for number, cid in enumerate(self.cids):
            await self._make(cid, WAYS[number % len(WAYS)])
        for device in self.everybody:
            for cid in self.cids:
                if device.uid in self.members[cid]:
                    device.begin(cid)
            device.start()
        await self.until(self._offline, CONNECT_S, "connecting")
        self._tasks = [asyncio.create_task(self._post()), asyncio.create_task(self._come_and_go())]

    async def _make(self, cid: Cid, settings: dict[str, Any]) -> None:
        await self.backend.call(
            lambda server: server.put_conversation(cid, members=sorted(self.members[cid]), settings=settings)
        )

    async def __aexit__(self, *_: Any) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(device.stop() for device in self.everybody))
        await self.backend.__aexit__()
        await self._movers.__aexit__()

    async def until(self, lacks: Callable[[], list[str]], within_s: float, what: str) -> None:
        """Wait until nothing is lacking; AssertionError with what still is when that takes too long."""
        give_up = time.monotonic() + within_s
        while lacking := lacks():
            for device in self.everybody:
                assert device.ended is None, f"the chat of {device.name} ended: {device.ended!r}"
            assert time.monotonic() < give_up, f"{what} took longer than {within_s:g} s: {lacking[:5]}"
            await asyncio.sleep(POLL_S)

    def _offline(self) -> list[str]:
        return [f"{device.name} is not connected" for device in self.everybody if not device.connected]

    def _unanswered(self) -> list[str]:
        return [f"{device.name} waits for {len(device.sends)} answers" for device in self.devices if device.sends]

    # ------------------------------------------------------------------------------------------------ what goes on

    async def _post(self) -> None:
        for number in itertools.count():
            await asyncio.sleep(random.uniform(0, 2 * POST_EVERY_S))
            if not self._going:
                return
            cid = random.choice(self.cids)
            sender = random.choice([device.uid for device in self.devices if device.uid in self.members[cid]])
            for _ in range(2 if number % 4 == 0 else 1):
                await self.backend.send(self.diary, cid, sender, f"http-{number}")

    async def _come_and_go(self) -> None:
        while self._going and self.comers:
            await asyncio.sleep(random.uniform(0, 2 * CHURN_EVERY_S))
            async with self._moving:
                if not self._going:
                    return
                uid, cid = random.choice(self.comers).uid, random.choice(self.cids)
                if self._rested.get((uid, cid), 0.0) <= time.monotonic():
                    await self.move(uid, cid)

    def nobody_moves(self) -> asyncio.Lock:
        """While it is held, nobody joins or leaves."""
        return self._moving

    async def move(self, uid: Uid, cid: Cid) -> None:
        """Remove a member, or make somebody one, and note when that holds."""
        before = self._movers.unsure
        self._moves = (uid, cid)
        if uid in self.members[cid]:
            await self._movers.call(lambda server: server.remove_members(cid, [uid]))
            self.diary.note(Parted(user=uid, cid=cid))
            self.members[cid].discard(uid)
        else:
            self.diary.note(Joining(user=uid, cid=cid))
            await self._movers.call(lambda server: server.add_members(cid, [uid]))
            self.members[cid].add(uid)
        self._moves = None
        if self._movers.unsure > before:
            self._rested[uid, cid] = time.monotonic() + REST_S

    async def healed(self, since: float, *, within_s: float) -> float:
        """Seconds from `since` until a message that was sent to each conversation now is on every member's device.

        Who becomes a member later, or again, is not waited for: when it must be told is counted from then. Nor is who
        is being removed: the call that does it may have done it long before its answer comes.
        """
        number = next(self._probes)
        heads = await asyncio.gather(*(self._probe(cid, number) for cid in self.cids))
        due = [(cid, head, self.of(cid)) for cid, head in zip(self.cids, heads, strict=True)]

        def lacks() -> list[str]:
            for cid, _, devices in due:
                devices[:] = [
                    device for device in devices if device.uid in self.members[cid] and self._moves != (device.uid, cid)
                ]
            return [
                f"{device.name} stands at {device.seqs.get(cid)} of {cid}, expected {head}"
                for cid, head, devices in due
                for device in devices
                if device.seqs.get(cid, 0) < head
            ]

        await self.until(lacks, max(0.0, within_s - (time.monotonic() - since)), "healing")
        return time.monotonic() - since

    async def arrival_s(self) -> float:
        """Seconds that a message to each conversation needs now until it is on every member's device."""
        return await self.healed(time.monotonic(), within_s=SETTLE_S)

    async def _probe(self, cid: Cid, number: int) -> int:
        sender = next(device.uid for device in self.devices if device.uid in self.members[cid])
        sent = await self.backend.send(self.diary, cid, sender, f"probe-{number}")
        assert sent is not None
        return seq_of(sent.id)

    # ------------------------------------------------------------------------------------------------ the end

    async def fall_silent(self) -> None:
        """No more sends, reads, comings and goings; what is under way is answered."""
        self._going = False
        for device in self.devices:
            device.sending = False
        await asyncio.wait_for(asyncio.gather(*self._tasks), SETTLE_S)
        await self.until(self._unanswered, SETTLE_S, "the last sends")

    async def settle(self, *, may_lose: bool = False) -> Verdict:
        """Fall silent, wait until every device shows its logs to their ends; judge."""
        await self.fall_silent()
        logs = await self._caught_up()
        return judge(self.diary.events, logs, rows=await self._settled_rows(logs), may_lose=may_lose)

    async def _caught_up(self) -> Logs:
        """The logs, once every device shows the whole of them. They are read again and again: a send that nobody
        waits for any more may still be on its way."""
        give_up = time.monotonic() + SETTLE_S
        while True:
            logs = self.last_logs = await self.logs()
            for _ in range(25):
                lacks = self.lacking(logs)
                if not lacks:
                    return logs
                await asyncio.sleep(POLL_S)
            assert time.monotonic() < give_up, f"catching up took longer than {SETTLE_S:g} s: {lacks[:5]}"

    def lacking(self, logs: Logs) -> list[str]:
        """Who does not show what it should."""
        return [
            f"{device.name} stands at {device.seqs.get(cid)} of {cid}, expected {expected}"
            for cid, head in _heads(logs).items()
            for device in self.everybody
            if device.seqs.get(cid) != (expected := head if device.uid in self.members[cid] else None)
        ]

    async def logs(self) -> Logs:
        """What every log holds, over HTTP."""

        async def log(server: Any, cid: Cid) -> list[Stored]:
            return [
                Stored(LogId(message.id), Uid(message.sender or ""), message.cmid, message.quiet)
                async for message in server.messages(cid)
            ]

        return {cid: await self.backend.call(lambda server, cid=cid: log(server, cid)) for cid in self.cids}

    async def _settled_rows(self, logs: Logs) -> list[Row]:
        """Every member's rows, once the last acks are written (or, past SETTLE_S, as they are: that is judged)."""
        heads, give_up = _heads(logs), time.monotonic() + SETTLE_S
        while True:
            rows = [row for device in self.everybody for row in await self.rows(device.uid)]
            if all(row.delivered == heads[row.cid] for row in rows) or time.monotonic() > give_up:
                return rows
            await asyncio.sleep(0.1)

    async def rows(self, uid: Uid) -> list[Row]:
        """A user's rows, as HTTP tells them."""
        try:
            page = await self.backend.call(lambda server: server.user_conversations(uid))
        except PushpullError as error:
            raise AssertionError(f"the list of {uid} was refused: {error.message}") from error
        return [
            Row(
                user=uid,
                cid=Cid(row["cid"]),
                joined=row["joined"],
                read=row["read"],
                unread=row["unread"],
                head=row["head"],
                delivered=row["delivered"],
            )
            for row in page["conversations"]
            if row["cid"] in self.members
        ]


def _heads(logs: Logs) -> dict[Cid, int]:
    return {cid: seq_of(log[-1].id) if log else 0 for cid, log in logs.items()}
