"""A backup is restored: what came after it is gone, and no device goes on showing it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from pushpull.client import AsyncServer, Chat, Message, Reset, connect
from pushpull.model import seq_of
from tests.e2e.conftest import ServeProcess
from tests.e2e.service import API_KEY, token_of
from tests.servers import RedisServer

PATIENCE_S = 20


class Screen:
    """What a person sees of one conversation: messages as they come, less what a reset takes away."""

    def __init__(self) -> None:
        self.shown: dict[int, Message] = {}
        self.resets: list[Reset] = []
        self._changed = asyncio.Event()

    @property
    def bodies(self) -> list[object]:
        return [self.shown[seq].body for seq in sorted(self.shown)]

    async def follow(self, chat: Chat) -> None:
        async for event in chat.events():
            if isinstance(event, Reset):
                self.resets.append(event)
                self.shown = {seq: one for seq, one in self.shown.items() if seq <= seq_of(event.pos)}
            elif isinstance(event, Message):
                assert event.seq not in self.shown, "shown twice"
                self.shown[event.seq] = event
            self._changed.set()

    async def until(self, enough: Callable[[list[object]], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not enough(self.bodies):
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def watched(chat: Chat, screen: Screen) -> AsyncIterator[Chat]:
    async with chat:
        following = asyncio.create_task(screen.follow(chat))
        yield chat
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following


@pytest.fixture
def redis(start_redis: Callable[..., RedisServer]) -> RedisServer:
    return start_redis(appendonly=False, dbfilename="dump.rdb")


async def test_devices_end_with_the_restored_log_and_what_they_had_sent_themselves(
    redis: RedisServer, serve_process: ServeProcess
) -> None:
    service = serve_process(url=redis.url, delivery__audit_interval_s=1)
    dump, backup = redis.directory / "dump.rdb", redis.directory / "backup.rdb"
    alices, bobs = Screen(), Screen()
    phone = {"url": service.url, "device": "phone", "unnamed": "all"}
    async with AsyncServer(service.url, API_KEY) as server:
        await server.put_conversation("tea", members=["alice", "bob", "carol"])
        for body in ("one", "two"):
            await server.send("tea", body, sender="carol")
        await asyncio.to_thread(redis.ask, "SAVE")
        shutil.copy(dump, backup)

        async with watched(connect(token=token_of("alice"), **phone), alices) as alice:
            mine = await alice.send("tea", "mine", cmid="of-alice")
            lost = await server.send("tea", "lost", sender="carol")
            async with watched(connect(token=token_of("bob"), **phone), bobs) as bob:
                for screen in (alices, bobs):
                    await screen.until(lambda bodies: bodies == ["one", "two", "mine", "lost"])
                kept = bob.positions

            await asyncio.to_thread(redis.kill)
            shutil.copy(backup, dump)
            await asyncio.to_thread(redis.start)

            await alices.until(lambda bodies: bodies[2:] == ["mine"])
            again = await alice.send("tea", "mine", cmid="of-alice")
            new = await server.send("tea", "new", sender="carol")
            await alices.until(lambda bodies: "new" in bodies)
            async with watched(connect(token=token_of("bob"), positions=kept, **phone), bobs):
                await bobs.until(lambda bodies: "new" in bodies)

        stored = [message async for message in server.messages("tea")]

    assert [message.body for message in stored] == ["one", "two", "mine", "new"] == alices.bodies == bobs.bodies
    assert {reset.reason for reset in alices.resets} == {reset.reason for reset in bobs.resets} == {"diverged"}
    assert again.dup
    assert (seq_of(new.id), new.id == lost.id) == (seq_of(lost.id), False), "one seq, and ids that tell them apart"
    assert (seq_of(again.id), again.id == mine.id) == (seq_of(mine.id), False)
