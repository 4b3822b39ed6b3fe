"""Three nodes in processes of their own, and devices that know them all: nodes are killed, hang, are restarted."""

from __future__ import annotations

import asyncio
import signal
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from pushpull.client import AsyncServer, Chat, Message, connect
from tests.e2e.service import API_KEY, ServiceProcess, token_of

ServeNodes = Callable[..., list[ServiceProcess]]

pytestmark = pytest.mark.timeout(120)

DEVICES = 30


@dataclass
class Device:
    uid: str
    held: list[Message] = field(default_factory=list)

    async def live(self, chat: Chat) -> None:
        async for event in chat.events():
            if isinstance(event, Message):
                self.held.append(event)

    @property
    def bodies(self) -> list[object]:
        return [message.body for message in self.held]


class Crowd:
    """Devices in one room, and the backend that sends to it."""

    def __init__(self, server: AsyncServer, devices: list[Device], chats: dict[str, Chat]) -> None:
        self.server = server
        self.devices = devices
        self.chats = chats
        self.sent: list[int] = []

    async def send(self, count: int) -> None:
        for _ in range(count):
            await self.server.send("room", len(self.sent))
            self.sent.append(len(self.sent))

    async def until_all_hold(self, within: float) -> None:
        async with asyncio.timeout(within):
            while any(len(device.held) < len(self.sent) for device in self.devices):
                await asyncio.sleep(0.02)

    def node_of(self, uid: str) -> str:
        welcome = self.chats[uid]._connection.welcome
        assert welcome is not None
        return welcome.node


@asynccontextmanager
async def crowd(nodes: list[ServiceProcess]) -> AsyncIterator[Crowd]:
    urls = [node.url for node in nodes]
    devices = [Device(f"u{number}") for number in range(DEVICES)]
    chats: dict[str, Chat] = {}
    async with AsyncServer(urls, API_KEY, retry_s=30) as server:
        await server.put_conversation("room", members=[device.uid for device in devices])
        living = []
        try:
            for device in devices:
                chats[device.uid] = connect(urls, token=token_of(device.uid), device="d", open_s=20)
                await chats[device.uid].__aenter__()
                living.append(asyncio.create_task(device.live(chats[device.uid])))
            yield Crowd(server, devices, chats)
        finally:
            for task in living:
                task.cancel()
            await asyncio.gather(*living, return_exceptions=True)
            await asyncio.gather(*(chat.close() for chat in chats.values()))
    for device in devices:
        assert device.bodies == list(range(len(device.held)))


async def test_devices_of_a_killed_node_live_on_another_within_5_s(serve_nodes: ServeNodes) -> None:
    nodes = serve_nodes(3, server__drain_s=1)
    async with crowd(nodes) as room:
        assert len({room.node_of(device.uid) for device in room.devices}) == 3
        await room.send(5)

        nodes[0].kill()
        killed_at = time.monotonic()
        await room.send(20)

        await room.until_all_hold(5)
        assert time.monotonic() - killed_at < 5
        assert len({room.node_of(device.uid) for device in room.devices}) == 2
        async with asyncio.timeout(8):  # and then its sessions are on no table any more
            while {len(await room.server.sessions(device.uid)) for device in room.devices[:5]} != {1}:
                await asyncio.sleep(0.1)
            while len(await room.server.nodes()) != 2:
                await asyncio.sleep(0.1)


async def test_devices_of_a_node_that_hangs_go_elsewhere_and_it_does_not_keep_them_twice(
    serve_nodes: ServeNodes,
) -> None:
    nodes = serve_nodes(3, server__drain_s=1)
    async with crowd(nodes) as room:
        await room.send(5)
        nodes[0].signal(signal.SIGSTOP)
        try:
            # Those who send find out within 8 s, those who only listen within 15.
            await room.send(5)
            await room.until_all_hold(18)
        finally:
            nodes[0].signal(signal.SIGCONT)

        await room.send(5)
        await room.until_all_hold(5)
        async with asyncio.timeout(8):
            while sum([int(node["sessions"]) for node in await room.server.nodes()]) != DEVICES:
                await asyncio.sleep(0.2)
        assert {len(await room.server.sessions(device.uid)) for device in room.devices} == {1}
        for chat in room.chats.values():
            assert chat.connected


async def test_a_rolling_restart_under_load_loses_nothing(serve_nodes: ServeNodes) -> None:
    nodes = serve_nodes(3, server__drain_s=1)
    async with crowd(nodes) as room:
        stop = asyncio.Event()

        async def load() -> None:
            while not stop.is_set():
                await room.send(1)

        sending = asyncio.create_task(load())
        for node in nodes:
            assert await asyncio.to_thread(node.stop) == 0
            await asyncio.to_thread(node.start)
        stop.set()
        await sending

        await room.until_all_hold(10)
        assert len(room.sent) > 100


@pytest.mark.parametrize("line", ["ended", "cut"])
async def test_what_a_node_that_hung_was_asked_does_not_undo_what_was_asked_of_another_since(
    line: str, serve_nodes: ServeNodes
) -> None:
    hung, other = serve_nodes(2)
    body = b'{"add": ["bob"]}'
    head = (
        "POST /v1/conversations/room/members HTTP/1.1",
        "Host: localhost",
        f"X-API-Key: {API_KEY}",
        f"Content-Length: {len(body)}",
    )
    async with AsyncServer(other.url, API_KEY) as server:
        await server.put_conversation("room", members=["alice"])
        hung.signal(signal.SIGSTOP)
        try:
            with socket.create_connection(("127.0.0.1", hung.port)) as stale:
                stale.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
                if line == "cut":
                    stale.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await server.add_members("room", ["bob"])
            await server.remove_members("room", ["bob"])
        finally:
            hung.signal(signal.SIGCONT)
        async with AsyncServer(hung.url, API_KEY) as awake:
            await awake.add_members("room", ["carol"])  # it has come to what was asked of it before

        assert {row["user"] async for row in server.members("room")} == {"alice", "carol"}
