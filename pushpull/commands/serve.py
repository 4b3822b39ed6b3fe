"""`pushpull serve`: the service, with a Redis of its own where none is named.

Theory of operation. Three phases on one event loop: start the embedded Redis, serve, stop the embedded Redis. Only the
middle one is the server's; from listening on it takes SIGTERM and SIGINT for itself, drains and returns. Before and
after, a signal cancels the phase that runs, and Redis is stopped all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shlex
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, get_args

import click
import uvloop

from pushpull import logs
from pushpull.commands._given import Given
from pushpull.commands._local import LocalService, config_option
from pushpull.config import Origins, load
from pushpull.embedded import AppendFsync, EmbeddedRedis
from pushpull.local_keys import with_local_keys
from pushpull.settings import Format, Level, Settings, demo_is_on, open_files

T = TypeVar("T")


@click.command()
@config_option
@click.option("--host", help="Address to listen on (server.host).")
@click.option("--port", type=int, help="Port to listen on (server.port).")
@click.option("--workers", type=int, help="Processes (server.workers).")
@click.option("--data-dir", metavar="DIR", help="Where the embedded Redis keeps its data (server.data_dir).")
@click.option("--redis-url", metavar="URL", help="A Redis to use instead of an embedded one (redis.url).")
@click.option("--log-level", type=click.Choice(get_args(Level)), help="log.level")
@click.option("--log-format", type=click.Choice(get_args(Format)), help="log.format")
def command(config_file: str | None, **given: Any) -> None:
    """Run the service until SIGTERM or Ctrl-C; with no Redis named, start one in the data directory."""
    sections = {"redis_url": "redis.url", "log_level": "log.level", "log_format": "log.format"}
    flags = {sections.get(flag, f"server.{flag}"): value for flag, value in given.items()}
    settings, origins = load(config_file, os.environ, flags)
    logs.configure(settings.log.level, settings.log.format)
    _allow_open_files(open_files(settings.limits))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        _run(runner, settings, origins, Given(config_file, flags))


def _run(runner: asyncio.Runner, settings: Settings, origins: Origins, given: Given) -> None:
    embedded: EmbeddedRedis | None = None
    with _signals(runner.get_loop()) as phase, contextlib.suppress(asyncio.CancelledError):
        if not settings.redis.url:
            appendfsync: AppendFsync = "always" if settings.redis.durability == "fsync" else "everysec"
            embedded = runner.run(phase.of(EmbeddedRedis.start(settings.server.data_dir, appendfsync=appendfsync)))
        try:
            settings, origins = with_local_keys(settings, origins, make=True)
            runner.run(phase.of(_serve(settings, origins, given, embedded)))
        finally:
            if embedded is not None:
                runner.run(embedded.stop())


async def _serve(settings: Settings, origins: Origins, given: Given, embedded: EmbeddedRedis | None) -> None:
    def say_hello() -> None:
        click.echo(greeting(settings, origins, given.config_file), err=True)

    watch = asyncio.create_task(embedded.watch()) if embedded is not None else None
    try:
        url = embedded.url if embedded is not None else settings.redis.url
        if settings.server.workers > 1:
            from pushpull.commands._workers import supervise

            await supervise(settings, url, origins=origins, on_ready=say_hello, given=given)
        else:
            # Imported here: all of the web stack hangs on it, and neither `pushpull --help` nor a supervisor serves.
            from pushpull.web.server import serve

            await serve(settings, url, origins=origins, on_ready=say_hello, source=given.source())
    finally:
        if watch is not None:
            watch.cancel()
            await asyncio.wait([watch])


class _Phase:
    """The phase that runs, and the signal that cancels it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None

    async def of(self, work: Coroutine[Any, Any, T]) -> T:
        self._task = asyncio.current_task()
        try:
            return await work
        finally:
            self._task = None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._task is not None:
            # Through the loop's wakeup: what a signal handler schedules directly may lie there until other work comes.
            self._loop.call_soon_threadsafe(self._task.cancel)


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop) -> Iterator[_Phase]:
    phase = _Phase(loop)
    before: dict[signal.Signals, Any] = {
        number: signal.signal(number, phase.on_signal) for number in (signal.SIGTERM, signal.SIGINT)
    }
    # Whoever serves reads its settings again on SIGHUP. One that comes before must not end it.
    before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        yield phase
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def greeting(settings: Settings, origins: Origins, config_file: str | None) -> str:
    """What a person at the terminal wants to know: where, the key if it was made here, and what to try next."""
    url = LocalService(settings).url
    lines = [f"pushpull serves {url}"]
    if demo_is_on(settings):
        lines.append(f"Chat with yourself, in two windows: {url}/demo")
    if origins["auth.api_keys"].startswith("made once"):
        lines.append(f"API key: {settings.auth.api_keys[0]}")
    if origins["auth.jwt_secret"].startswith("made once"):
        pushpull = _invocation(settings, origins, config_file)
        lines += [
            "Try, in another terminal:",
            f"  {pushpull} token alice",
            f"  {pushpull} members hello --add alice,bob && {pushpull} send hello 'Hello, Bob' --as alice",
            f"  {pushpull} tail hello --as bob",
        ]
    return "\n".join(lines)


def _invocation(settings: Settings, origins: Origins, config_file: str | None) -> str:
    """How to call this program, from this directory, so that it finds this service and its keys."""
    known = {"PUSHPULL_CONFIG": config_file} if config_file else {}
    for name, value in (
        ("server.data_dir", settings.server.data_dir),
        ("server.host", settings.server.host),
        ("server.port", settings.server.port),
    ):
        if origins[name].startswith("flag"):
            known[f"PUSHPULL_{name.upper().replace('.', '__')}"] = str(value)
    program = Path(sys.argv[0])
    found = shutil.which("pushpull")
    if found is not None and Path(found).resolve() == program.resolve():
        command = "pushpull"
    else:
        command = os.path.relpath(program) if program.is_relative_to(Path.cwd()) else str(program)
    return " ".join([*(f"{variable}={shlex.quote(value)}" for variable, value in known.items()), shlex.quote(command)])


def _allow_open_files(wanted: int) -> None:
    """Raise this process's own limit of open files towards `wanted`; a connection is a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
