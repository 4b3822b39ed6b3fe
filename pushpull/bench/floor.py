"""The yardstick: the same bytes to as many connections, by a plain loop of `send` over blocking sockets.

No service written in Python can hand bytes to sockets for less; what pushpull takes is stated as a multiple of it.
`python -m pushpull.bench.floor`, asked by lines of JSON (see `child`).
"""

from __future__ import annotations

import asyncio
import socket
import time
from typing import Final

from pushpull.bench import open_files, wire
from pushpull.bench.child import answer_requests
from pushpull.bench.spread import now_ticks

HOST: Final = "127.0.0.1"
BACKLOG: Final = 4096
ACCEPT_S: Final = 30.0


class Floor:
    def __init__(self) -> None:
        self._listener = socket.socket()
        self._sockets: list[socket.socket] = []

    async def listen(self, connections: int) -> int:
        """The port it listens on."""
        open_files.allow(connections)
        self._listener.bind((HOST, 0))
        self._listener.listen(BACKLOG)
        self._listener.setblocking(False)
        return int(self._listener.getsockname()[1])

    async def accept(self, connections: int) -> None:
        """Take so many connections; they may come while this runs."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(ACCEPT_S):
            while len(self._sockets) < connections:
                accepted, _ = await loop.sock_accept(self._listener)
                accepted.setblocking(True)
                # As the servers of this world do, and uvicorn: a small frame does not wait for the next.
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.append(accepted)

    async def send(self, cid: str, first: int, size: int, messages: int, per_s: float) -> float:
        """Send so many messages of `size` bytes to all, from seq `first` on; processor time (s) that it took."""
        began, before = time.monotonic(), time.process_time()
        for number in range(messages):
            # Nothing else is to run here: a plain loop, no event loop around it.
            time.sleep(max(0.0, began + number / per_s - time.monotonic()))  # noqa: ASYNC251
            frame = wire.messages_frame(cid.encode(), first + number, now_ticks(), size)
            for connected in self._sockets:
                connected.send(frame)
        return time.process_time() - before


async def main() -> None:
    floor = Floor()
    await answer_requests({"listen": floor.listen, "accept": floor.accept, "send": floor.send})


if __name__ == "__main__":
    asyncio.run(main())
