"""A service of the demo's own: `pushpull serve` in a process of its own, on a free port, its data in a temporary place.

It is as a newcomer starts it, with a real Redis beside it; only what would lead it elsewhere (another Redis, another
configuration file) is taken out of the environment. It runs in a session of its own, so that Ctrl-C at the terminal
reaches the demo alone, which ends it when everything else has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from pushpull.errors import ConfigError

START_S: Final = 30.0
STOP_S: Final = 20.0
PATIENCE_S: Final = 3.0
"""Before the second SIGTERM, which cuts a drain short: nobody is connected any more who would notice."""
KEPT_SECTIONS: Final = ("DELIVERY", "LIMITS", "IDEMPOTENCY", "RETENTION")
"""Settings from the environment that a demo may be asked to show; the others say where and with whom."""
RAISED: Final = {"PUSHPULL_LIMITS__CONVERSATION_SENDS_PER_S": "10000", "PUSHPULL_LIMITS__SENDS_PER_S": "10000"}
"""A few devices send for the whole crowd, at the rate that was asked for."""


@dataclass(frozen=True, slots=True, repr=False)
class OwnService:
    """A running service and the keys made for it."""

    url: str
    api_key: str
    jwt_secret: str
    pid: int
    redis_socket: Path


@asynccontextmanager
async def own_service() -> AsyncIterator[OwnService]:
    """A service for as long as the block lasts. Raises ConfigError when it does not start."""
    place = Path(tempfile.mkdtemp(prefix="pushpull-demo-"))
    try:
        async with _running(place) as service:
            yield service
    finally:
        shutil.rmtree(place, ignore_errors=True)


@asynccontextmanager
async def _running(place: Path) -> AsyncIterator[OwnService]:
    port, api_key, jwt_secret = _free_port(), secrets.token_urlsafe(24), secrets.token_urlsafe(36)
    log = place / "service.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "from pushpull.cli import main; main()", "serve"),
            *("--host", "127.0.0.1", "--port", str(port), "--data-dir", str(place / "data")),
            *("--log-level", "warning", "--log-format", "console"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=_environment(PUSHPULL_AUTH__API_KEYS=api_key, PUSHPULL_AUTH__JWT_SECRET=jwt_secret),
        )
    try:
        url = f"http://127.0.0.1:{port}"
        await _until_ready(url, process, log)
        yield OwnService(url, api_key, jwt_secret, process.pid, place / "data" / "redis.sock")
    finally:
        await _end(process)


async def _until_ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    give_up = time.monotonic() + START_S
    async with httpx2.AsyncClient(trust_env=False, timeout=2.0) as client:
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if (await client.get(f"{url}/readyz")).is_success:
                    return
            if process.returncode is not None:
                raise ConfigError(f"the demo's service ended with {process.returncode}: {last_line(log)}")
            if time.monotonic() > give_up:
                raise ConfigError(f"the demo's service was not ready within {START_S:g} s: {last_line(log)}")
            await asyncio.sleep(0.05)


async def _end(process: asyncio.subprocess.Process) -> None:
    for how, within_s in ((signal.SIGTERM, PATIENCE_S), (signal.SIGTERM, STOP_S), (signal.SIGKILL, STOP_S)):
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(how)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await process.wait()


def last_line(log: Path) -> str:
    """The last thing a process wrote, without the error's prefix; for an error message."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        lines = []
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
    return last.removeprefix("error: ")[:300]


def _environment(**more: str) -> dict[str, str]:
    kept = tuple(f"PUSHPULL_{section}__" for section in KEPT_SECTIONS)
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("PUSHPULL_") or name.startswith(kept)
    }
    return {**RAISED, **environ, **more}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
