"""A Redis of the service's own, for when no `redis.url` is named.

Theory of operation. One service owns a data directory: it holds a lock (flock, so that a crash frees it) on
`redis.lock` there, and the server it starts listens on a unix socket only, with an append-only file in the same
directory. A second service finds the lock taken and is refused. A service that finds the lock free and a server
answering on the socket found one that outlived a crashed service: it is adopted, data and all. A server that works
in the directory without that socket is somebody else's: two on one append-only file would ruin it, so no start.

The server runs in a session of its own: Ctrl-C at the terminal must reach the service first, which still needs Redis
to drain. `watch` starts it again when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import quote

from pushpull.errors import ConfigError
from pushpull.redis_server import ask, find_binary, gone, info_field, pid_working_in

logger = logging.getLogger(__name__)

# sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included.
SOCKET_PATH_BYTES: Final = 103
# Until the first answer. Loading a large append-only file may take minutes, and is waited for as long as it says so.
READY_S: Final = 30.0
ADOPT_S: Final = 5.0
STOP_S: Final = 30.0
POLL_S: Final = 0.25
# A server that lived this long is not in a crash loop: the next restart is at once again.
STEADY_S: Final = 60.0
BACKOFF_S: Final = (0.1, 10.0)
LOG_BYTES: Final = 10 * 1024 * 1024

AppendFsync = Literal["everysec", "always"]


class EmbeddedRedis:
    """A running server in `data_dir`. Made by `start`; `url` is for the store, `watch` for a task, `stop` ends it."""

    def __init__(self, data_dir: Path, *, binary: str, lock: int, appendfsync: AppendFsync) -> None:
        self._data_dir = data_dir
        self._binary = binary
        self._appendfsync = appendfsync
        self._lock = lock
        self._socket = _socket_path(data_dir)
        self._log = data_dir / "redis.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self.pid = 0
        self.url = f"unix://{quote(str(self._socket))}"

    @classmethod
    async def start(
        cls, data_dir: str | Path, *, binary: str | None = None, appendfsync: AppendFsync = "everysec"
    ) -> Self:
        """Start a server in `data_dir` (made if need be), or adopt the one a crashed service left there.

        `binary` is a Redis or Valkey server; None: found on this machine. `appendfsync` is Redis' word for how much a
        crash of the machine may cost: a second of writes, or none. Returns when it serves. Raises ConfigError when
        there is no server to start, the directory is in use or not usable, or the server does not come up.
        """
        directory = _made_directory(Path(data_dir))
        lock = _locked(directory)
        try:
            embedded = cls(directory, binary=binary or find_binary(), lock=lock, appendfsync=appendfsync)
        except BaseException:
            os.close(lock)
            raise
        try:
            if not await embedded._adopt():
                await embedded._launch()
        except BaseException:
            await embedded.stop()
            raise
        return embedded

    async def stop(self) -> None:
        """End the server in order, its append-only file written, and give the directory back. Safe to call twice."""
        self._stopping = True
        if self.pid and not self._ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGTERM)
            give_up = time.monotonic() + STOP_S
            while not self._ended():
                if time.monotonic() > give_up:
                    logger.warning("redis (pid %d) did not stop within %d s and is killed", self.pid, STOP_S)
                    os.kill(self.pid, signal.SIGKILL)
                    give_up += STOP_S
                await asyncio.sleep(0.01)
        self.pid = 0
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def watch(self) -> None:
        """Start the server again whenever it dies, later and later if it keeps dying. Runs until cancelled."""
        first_s, longest_s = BACKOFF_S
        delay_s, started = first_s, time.monotonic()
        while not self._stopping:
            await asyncio.sleep(POLL_S)
            if self._stopping or not self._ended():
                continue
            if time.monotonic() - started > STEADY_S:
                delay_s = first_s
            logger.warning("redis (pid %d) ended unexpectedly; starting it again in %.1f s", self.pid, delay_s)
            await asyncio.sleep(delay_s)
            delay_s, started = min(delay_s * 2, longest_s), time.monotonic()
            try:
                await self._launch()
            except ConfigError as problem:
                logger.error("%s", problem.message)

    async def _adopt(self) -> bool:
        """Take over a server that answers on the socket; False when there is none."""
        try:
            info = await asyncio.to_thread(ask, self._socket, "INFO", "server", timeout_s=ADOPT_S)
        except TimeoutError:
            raise ConfigError(f"a redis server listens on {self._socket} and does not answer; stop it") from None
        except OSError:
            other = pid_working_in(self._data_dir)
            if other is None:
                return False
            raise ConfigError(
                f"another redis server (pid {other}) works in {self._data_dir}; stop it, or name another data_dir"
            ) from None
        pid = info_field(info, "process_id")
        if pid is None:
            raise ConfigError(f"what listens on {self._socket} is not a redis server of pushpull: {info:.80}")
        self.pid = int(pid)
        await self._until_ready()
        await asyncio.to_thread(ask, self._socket, "CONFIG", "SET", "appendfsync", self._appendfsync)
        logger.warning("found redis (pid %d) still running in %s and took it over", self.pid, self._data_dir)
        return True

    async def _launch(self) -> None:
        self._process = self._spawn()
        self.pid = self._process.pid
        await self._until_ready()
        logger.info("redis (pid %d) serves %s", self.pid, self._data_dir)

    def _spawn(self) -> subprocess.Popen[bytes]:
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        arguments = [part for name, value in self._directives().items() for part in (f"--{name}", value)]
        try:
            return subprocess.Popen(  # noqa: S603 - the operator's own Redis
                [self._binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                umask=0o077,
                # A locale that is named and not installed keeps Redis from starting.
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            )
        except OSError as problem:
            raise ConfigError(f"cannot start {self._binary}: {problem.strerror}") from problem

    def _directives(self) -> dict[str, str]:
        return {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data_dir),
            "logfile": str(self._log),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "save": "",
            # History must not be evicted to make room: a write that fails is told, a message that vanishes is not.
            "maxmemory-policy": "noeviction",
            # An idempotency bucket of hundreds of thousands of fields would otherwise stall Redis when it expires.
            "lazyfree-lazy-expire": "yes",
        }

    async def _until_ready(self) -> None:
        give_up, said = time.monotonic() + READY_S, time.monotonic()
        while True:
            answer = await self._answer()
            if answer == "PONG":
                return
            if answer.startswith("-LOADING"):
                give_up = time.monotonic() + READY_S
                if time.monotonic() - said > 5:
                    said = time.monotonic()
                    logger.info("redis is loading its append-only file")
            if self._ended():
                raise ConfigError(f"redis ({self._binary}) ended while starting. {self._last_words()}")
            if time.monotonic() > give_up:
                raise ConfigError(f"redis (pid {self.pid}) did not answer within {READY_S:.0f} s. {self._last_words()}")
            await asyncio.sleep(0.01)

    async def _answer(self) -> str:
        try:
            return await asyncio.to_thread(ask, self._socket, "PING")
        except OSError:
            return ""

    def _ended(self) -> bool:
        if self._process is not None:
            return self._process.poll() is not None
        return gone(self.pid)

    def _last_words(self) -> str:
        """The end of the server's log, on one line each, for an error message."""
        try:
            lines = self._log.read_text(errors="replace").splitlines()[-5:]
        except OSError:
            return "it wrote no log"
        return "its log ends:\n  " + "\n  ".join(lines)


def running(data_dir: str | Path) -> str | None:
    """The URL of the server that serves `data_dir` now; None where there is none. Makes and changes nothing."""
    path = Path(data_dir) / "redis.sock"
    try:
        # Where the directory's own path is too long for a socket, a link leads to it.
        path = path.resolve(strict=True)
        return f"unix://{quote(str(path))}" if ask(path, "PING", timeout_s=ADOPT_S) else None
    except OSError:
        return None


def _made_directory(data_dir: Path) -> Path:
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory = data_dir.resolve(strict=True)
    except OSError as problem:
        raise ConfigError(f"server.data_dir {str(data_dir)!r} cannot be made: {problem.strerror}") from problem
    if not os.access(directory, os.W_OK | os.X_OK):
        raise ConfigError(f"server.data_dir {str(data_dir)!r} is not writable for this user")
    return directory


def _locked(directory: Path) -> int:
    """The descriptor whose flock says that `directory` is this process's."""
    path = directory / "redis.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be opened: {problem.strerror}") from problem
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        owner = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock)
        if not isinstance(problem, BlockingIOError):
            raise ConfigError(f"{path} cannot be locked: {problem.strerror}") from problem
        raise ConfigError(
            f"another pushpull service (pid {owner}) uses {directory}; stop it, or name another server.data_dir"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _socket_path(directory: Path) -> Path:
    """Where the server of `directory` listens: inside it, or in a short place of this user's where that is too long."""
    path = directory / "redis.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        return path
    name = f"pushpull-{os.geteuid()}-{hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]}"
    short = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / name
    if len(os.fsencode(short / "redis.sock")) > SOCKET_PATH_BYTES:
        short = Path("/tmp") / name  # noqa: S108 - its owner and mode are checked below
    short.mkdir(mode=0o700, exist_ok=True)
    state = short.lstat()
    if state.st_uid != os.geteuid() or state.st_mode & 0o077 or not short.is_dir() or short.is_symlink():
        raise ConfigError(f"{short} is not a directory of this user alone; remove it, or shorten server.data_dir")
    # For whoever looks for the socket where it would be.
    path.unlink(missing_ok=True)
    path.symlink_to(short / "redis.sock")
    return short / "redis.sock"
