"""One of several processes that serve on one port: `python -m pushpull.commands._worker`, as `_workers` starts it.

What to serve comes as one line of JSON on standard input, which then stays open: its end means that the supervisor is
gone, and is a SIGTERM. On standard output goes a line READY once it listens, and from then on BEAT after BEAT as long
as the loop turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from typing import Final

import click
import msgspec
import uvloop

from pushpull import logs
from pushpull.commands._given import Given
from pushpull.commands._ports import bound
from pushpull.errors import PushpullError
from pushpull.settings import Settings

READY: Final = b"ready\n"
BEAT: Final = b".\n"
BEAT_S: Final = 1.0


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker is to do. `port` is the shared one, `own_port` that of this worker alone (0: none)."""

    settings: Settings
    redis_url: str
    origins: dict[str, str]
    port: int
    own_port: int
    given: Given

    def __repr__(self) -> str:
        return f"Orders(port={self.port}, own_port={self.own_port})"  # the URL may hold a password


def main() -> None:
    """Serve as told until SIGTERM, SIGINT or the end of the supervisor."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it serves and knows what to do about it
    orders = msgspec.json.decode(sys.stdin.buffer.readline(), type=Orders)
    logs.configure(orders.settings.log.level, orders.settings.log.format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(orders))
    except PushpullError as problem:
        click.echo(f"error: {problem.message}", err=True)
        sys.exit(1)


async def _serve(orders: Orders) -> None:
    from pushpull.web.server import serve  # after the orders are read: importing takes a while

    stop = asyncio.Event()
    stdin = sys.stdin.fileno()
    loop = asyncio.get_running_loop()

    def on_input() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, on_input)
    try:
        await serve(
            orders.settings,
            orders.redis_url,
            origins=orders.origins,
            on_ready=_say_ready,
            sockets=_listeners(orders),
            stop=stop,
            source=orders.given.source(),
        )
    finally:
        loop.remove_reader(stdin)


def _say_ready() -> None:
    out = sys.stdout.fileno()
    os.set_blocking(out, False)  # a supervisor that is stopped reads nothing, and must not stop this process, too
    os.write(out, READY)
    _beat(asyncio.get_running_loop(), out)


def _beat(loop: asyncio.AbstractEventLoop, out: int) -> None:
    with contextlib.suppress(OSError):  # nobody reads: the pipe is full, or the supervisor gone
        os.write(out, BEAT)
    loop.call_later(BEAT_S, _beat, loop, out)


def _listeners(orders: Orders) -> list[socket.socket]:
    host = orders.settings.server.host
    shared = bound(host, orders.port, shared=True)
    return [shared, bound(host, orders.own_port)] if orders.own_port else [shared]


if __name__ == "__main__":
    main()
