"""Devices that do what a device should not: never ack, ack what they like, come and go, hardly read.

They speak frames, without the client library, each as a user of its own (a guest of the load's conversations), and come
back whenever they are thrown out.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from pushpull.model import Cid, Uid
from tests.e2e.service import token_of

FLAP_S = 0.1
AGAIN_S = 0.2
SLOW_BYTES_PER_S = 1024
SMALLEST_BUFFER = 2304  # of a socket: one turn reads no more

Behaviour = Callable[["BadDevice"], Awaitable[None]]


class BadDevice:
    """`url` of its node; `behaviour` is one of those below, and runs once for each connection."""

    def __init__(self, uid: Uid, url: str, behaviour: Behaviour) -> None:
        self.uid = uid
        self.connections = 0
        self.heard: dict[Cid, int] = {}  # the highest seq it was sent
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self.behaviour = behaviour
        self._living: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._living = asyncio.create_task(self._live(), name=self.uid)

    async def stop(self) -> None:
        if self._living is not None:
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)

    async def _live(self) -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                await self.behaviour(self)
            await asyncio.sleep(AGAIN_S)

    @contextlib.asynccontextmanager
    async def open(self, *, receive_bytes: int = 0) -> AsyncIterator[ClientConnection]:
        """A session; `receive_bytes`: of the socket's buffer, 0: as the system likes. It ends without a word."""
        plain = socket.socket()
        if receive_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(plain, (self._host, self._port))
            made = await self._upgraded(plain, queued=1 if receive_bytes else 16)
        except BaseException:
            plain.close()
            raise
        try:
            self.connections += 1
            await say(made, type="hello", token=token_of(self.uid), device="bad", unnamed="delivered")
            yield made
        finally:
            made.transport.abort()
            await made.wait_closed()

    async def _upgraded(self, plain: socket.socket, *, queued: int) -> ClientConnection:
        return await connect(
            f"ws://{self._host}:{self._port}/v1/ws",
            sock=plain,
            subprotocols=[Subprotocol("pushpull.v1")],
            compression=None,
            ping_interval=None,
            max_queue=queued,
            close_timeout=0.1,
        )

    def note(self, text: str | bytes) -> tuple[Cid, int] | None:
        """Where a `messages` frame leads to; None for other frames."""
        frame = orjson.loads(text)
        if frame["type"] != "messages":
            return None
        cid, upto = Cid(frame["cid"]), int(frame["upto"])
        self.heard[cid] = max(upto, self.heard.get(cid, 0))
        return cid, upto


async def say(connection: ClientConnection, **frame: object) -> None:
    await connection.send(orjson.dumps(frame).decode())


async def never_acks(device: BadDevice) -> None:
    async with device.open() as connection:
        async for text in connection:
            device.note(text)


async def acks_wrongly(device: BadDevice) -> None:
    """Too high, far too high, backwards, and in conversations it has nothing of."""
    turn = itertools.count()
    async with device.open() as connection:
        async for text in connection:
            if at := device.note(text):
                cid, upto = at
                wrong = [{cid: upto + 1000}, {cid: 2**53 - 1}, {cid: 0}, {cid: max(1, upto - 5)}, {"elsewhere": upto}]
                await say(connection, type="ack", acks=wrong[next(turn) % len(wrong)])


async def flaps(device: BadDevice) -> None:
    async with device.open():
        await asyncio.sleep(random.uniform(0, 2 * FLAP_S))


async def hardly_reads(device: BadDevice) -> None:
    """The socket is read at 1 KB/s, with the smallest buffer the system gives."""
    async with device.open(receive_bytes=1) as connection:
        transport = connection.transport
        while not transport.is_closing():
            transport.pause_reading()
            await asyncio.sleep(SMALLEST_BUFFER / SLOW_BYTES_PER_S)
            transport.resume_reading()
            await asyncio.sleep(0)


BEHAVIOURS: tuple[Behaviour, ...] = (never_acks, acks_wrongly, flaps, hardly_reads)


@contextlib.asynccontextmanager
async def living(devices: Sequence[BadDevice]) -> AsyncIterator[None]:
    """They do what they do until the end of the block."""
    for device in devices:
        device.start()
    try:
        yield
    finally:
        await asyncio.gather(*(device.stop() for device in devices))


def company(urls: Sequence[str], count: int, *, tag: str = "") -> list[BadDevice]:
    """`count` of them, of each kind as many, spread over the nodes."""
    return [
        BadDevice(Uid(f"{tag}bad{number}"), urls[number % len(urls)], BEHAVIOURS[number % len(BEHAVIOURS)])
        for number in range(count)
    ]
