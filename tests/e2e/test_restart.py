"""The promise as a whole: 10,000 messages to 50 conversations and 500 connected devices, pushed, gathered and notified,
while the service and Redis are restarted and killed in the middle. Each device ends with exactly the messages sent, in
order, none twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from pushpull.client import AsyncServer, Chat, Message, Reset, connect
from pushpull.model import seq_of
from tests.e2e.conftest import ServeProcess
from tests.e2e.service import API_KEY, ServiceProcess, token_of
from tests.servers import RedisServer

SENDS = 10_000
CONVERSATIONS = 50
DEVICES = 500
ROOMS_EACH = 2  # conversations a device is in
EACH = SENDS // DEVICES // ROOMS_EACH  # messages a device sends to each of its conversations
FINISH_S = 100.0

WAYS: tuple[dict[str, object], ...] = ({"mode": "push"}, {"mode": "push", "push_window_ms": 200}, {"mode": "notify"})
"""Every way of delivery, each for a third of the conversations."""

pytestmark = pytest.mark.timeout(200)

Key = tuple[str, int]
"""Which message it is, by what was sent: its sender and number."""


@dataclass
class Device:
    """One device of one user: sends its share, keeps what it gets as an app would, and notes what it should not get."""

    uid: str
    cids: list[str]
    held: dict[str, list[Message]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    sent: int = 0

    async def live(self, url: str, finished: asyncio.Event) -> None:
        async with connect(url, token=token_of(self.uid), device="d", open_s=60) as chat:
            listening = asyncio.create_task(self._listen(chat))
            await self._send(chat)
            await finished.wait()
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _send(self, chat: Chat) -> None:
        for number in range(EACH):
            for cid in self.cids:
                await chat.send(cid, {"by": self.uid, "n": number})
                self.sent += 1

    async def _listen(self, chat: Chat) -> None:
        async for event in chat.events():
            if isinstance(event, Message):
                self._keep(event)
            elif isinstance(event, Reset):
                held = self.held.setdefault(event.cid, [])
                held[:] = [message for message in held if message.seq <= seq_of(event.pos)]

    def _keep(self, message: Message) -> None:
        held = self.held.setdefault(message.cid, [])
        expected = held[-1].seq + 1 if held else 1
        if message.seq != expected:
            self.faults.append(f"{message.cid}: {message.seq} where {expected} was due")
        held.append(message)


def group() -> list[Device]:
    """Devices spread evenly: each conversation has DEVICES × ROOMS_EACH ÷ CONVERSATIONS of them."""
    return [
        Device(f"u{number}", [f"c{(number + offset * 7) % CONVERSATIONS}" for offset in range(ROOMS_EACH)])
        for number in range(DEVICES)
    ]


async def mischief(devices: list[Device], steps: list[Callable[[], object]]) -> None:
    """Carry out each step when its part of the messages is sent, in a thread: the devices live on meanwhile."""
    for n, step in enumerate(steps, start=1):
        while sum(device.sent for device in devices) < SENDS * n // (len(steps) + 1):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(step)


def restart(service: ServiceProcess) -> None:
    assert service.stop() == 0
    service.start()


def crash(server: ServiceProcess | RedisServer) -> None:
    server.kill()
    server.start()


async def until_all_hold(devices: list[Device], logs: dict[str, list[Message]]) -> None:
    def behind() -> int:
        return sum(len(device.held.get(cid, ())) < len(logs[cid]) for device in devices for cid in device.cids)

    while behind():
        await asyncio.sleep(0.05)


async def test_every_device_ends_with_exactly_the_messages_sent(
    start_redis: Callable[..., RedisServer], serve_process: ServeProcess
) -> None:
    redis = start_redis(appendonly=True, appendfsync="everysec")
    service = serve_process(
        url=redis.url,
        server__drain_s=1,
        limits__sends_per_s=10_000,
        limits__frames_per_s=10_000,
        limits__conversation_sends_per_s=10_000,
    )
    devices = group()
    async with AsyncServer(service.url, API_KEY) as server, asyncio.timeout(FINISH_S), asyncio.TaskGroup() as tasks:
        for cid in {cid for device in devices for cid in device.cids}:
            members = [device.uid for device in devices if cid in device.cids]
            await server.put_conversation(cid, members=members, settings=WAYS[int(cid[1:]) % len(WAYS)])
        finished = asyncio.Event()
        living = [tasks.create_task(device.live(service.url, finished)) for device in devices]

        await mischief(
            devices, [partial(restart, service), redis.restart, partial(crash, service), partial(crash, redis)]
        )

        while sum(device.sent for device in devices) < SENDS:
            await asyncio.sleep(0.05)
        logs = {
            cid: [message async for message in server.messages(cid)] for cid in {c for d in devices for c in d.cids}
        }
        await until_all_hold(devices, logs)
        finished.set()
        await asyncio.wait(living)

    assert [fault for device in devices for fault in device.faults] == []
    sent = {(cid, device.uid, number) for device in devices for cid in device.cids for number in range(EACH)}
    stored = [(cid, message.body["by"], message.body["n"]) for cid, log in logs.items() for message in log]
    assert len(stored) == len(sent) == SENDS
    assert set(stored) == sent
    for device in devices:
        for cid in device.cids:
            assert [message.id for message in device.held[cid]] == [message.id for message in logs[cid]]
