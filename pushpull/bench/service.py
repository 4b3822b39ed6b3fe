"""Redis and the service, for one workload: `pushpull serve` in a process of its own, with a real Redis beside it.

Redis is started as the service itself would start it (append-only file, synced every second), but by the benchmark,
so that the node can be killed and started again while Redis goes on.
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
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import httpx2

from pushpull.bench.failure import BenchFailed
from pushpull.client import AsyncServer
from pushpull.demo.readings import metrics_in
from pushpull.demo.service import KEPT_SECTIONS, last_line
from pushpull.embedded import EmbeddedRedis

START_S: Final = 60.0
TOKEN_S: Final = 7_200.0
HOST: Final = "127.0.0.1"

RAISED: Final = {
    "LIMITS__FRAMES_PER_S": "1000000",
    "LIMITS__SENDS_PER_S": "1000000",
    "LIMITS__CONVERSATION_SENDS_PER_S": "1000000",
}
"""Limits per user and conversation, which would measure themselves."""


class Service:
    """A node and its Redis. The node's address and keys stay over `restart`."""

    def __init__(self, place: Path, redis: EmbeddedRedis, settings: Mapping[str, str]) -> None:
        self.port = _free_port()
        self.url = f"http://{HOST}:{self.port}"
        self.api_key = secrets.token_urlsafe(24)
        self.redis_pid = redis.pid
        self.redis_socket = Path(unquote(urlsplit(redis.url).path))
        jwt_secret = secrets.token_urlsafe(36)
        self.server = AsyncServer(self.url, self.api_key, jwt_secret=jwt_secret)
        self._place = place
        self._redis_url = redis.url
        self._environment = _environment(
            {**RAISED, **settings, "AUTH__API_KEYS": self.api_key, "AUTH__JWT_SECRET": jwt_secret}
        )
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The node's process."""
        assert self._process is not None
        return self._process.pid

    def token(self, uid: str) -> str:
        return self.server.token(uid, TOKEN_S)

    async def start(self) -> None:
        """Start the node and wait until it is ready. Raises BenchFailed."""
        log = self._place / "node.log"
        with log.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", "from pushpull.cli import main; main()", "serve"),
                *("--host", HOST, "--port", str(self.port), "--redis-url", self._redis_url),
                *("--data-dir", str(self._place / "node"), "--log-level", "warning", "--log-format", "console"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=self._environment,
            )
        await self._until_ready(log)

    async def kill(self) -> None:
        """End the node without a word, as a crash does."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def metrics(self) -> dict[str, float]:
        """The node's own counts, without their prefix."""
        async with httpx2.AsyncClient(trust_env=False, timeout=30.0) as client:
            return metrics_in((await client.get(f"{self.url}/metrics")).text)

    async def _until_ready(self, log: Path) -> None:
        assert self._process is not None
        give_up = time.monotonic() + START_S
        async with httpx2.AsyncClient(trust_env=False, timeout=2.0) as client:
            while True:
                with contextlib.suppress(httpx2.TransportError):
                    if (await client.get(f"{self.url}/readyz")).is_success:
                        return
                if self._process.returncode is not None:
                    raise BenchFailed(f"the service ended with {self._process.returncode}: {last_line(log)}")
                if time.monotonic() > give_up:
                    raise BenchFailed(f"the service was not ready within {START_S:g} s: {last_line(log)}")
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(**settings: str) -> AsyncIterator[Service]:
    """A service for as long as the block lasts; `settings` as in the environment: `DELIVERY__ACK_WAIT_MS="1000"`.

    Raises BenchFailed or ConfigError when it does not start.
    """
    place = Path(tempfile.mkdtemp(prefix="pushpull-bench-"))
    try:
        redis = await EmbeddedRedis.start(place / "redis")
        try:
            service = Service(place, redis, settings)
            try:
                await service.start()
                yield service
            finally:
                await service.kill()
                await service.server.close()
        finally:
            await redis.stop()
    finally:
        shutil.rmtree(place, ignore_errors=True)


def kept_settings() -> dict[str, str]:
    """The settings from the environment that the measured services get: to compare one value with another."""
    kept = tuple(f"PUSHPULL_{section}__" for section in KEPT_SECTIONS)
    return {name: value for name, value in sorted(os.environ.items()) if name.startswith(kept)}


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("PUSHPULL_")}
    return {**others, **kept_settings(), **{f"PUSHPULL_{name}": value for name, value in settings.items()}}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
