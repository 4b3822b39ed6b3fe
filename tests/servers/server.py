"""Real servers for tests: a Redis or Valkey process in its own temporary directory, on a unix socket.

No TCP port unless one is asked for, never 6379, nothing left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

import redis

from pushpull.redis_server import ask, find_binary, info_field

READY_S = 20.0


@cache
def server_binary() -> str:
    return find_binary()


class RedisServer:
    """One server process. `options` are redis.conf directives, `_` for `-`: `cluster_enabled="yes"`.

    Its data stays in `directory` over `restart()` and `kill()` + `start()`, as far as `appendonly` keeps it.
    """

    def __init__(
        self,
        *,
        appendonly: bool = False,
        port: int = 0,
        environ: Mapping[str, str] | None = None,
        **options: str | int,
    ) -> None:
        """`environ`: what its environment has beside ours."""
        self._environ = {**os.environ, **(environ or {})}
        self.binary = server_binary()
        # Not pytest's tmp_path: its names are too long for a unix socket (107 bytes).
        self.directory = Path(tempfile.mkdtemp(prefix="pp-redis-"))
        self.socket_path = self.directory / "redis.sock"
        self.log_path = self.directory / "redis.log"
        self.url = f"unix://{self.socket_path}"
        self.port = port
        self.tcp_url = f"redis://127.0.0.1:{port}" if port else ""
        self._options: dict[str, str | int] = {
            "port": port,
            "bind": "127.0.0.1",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "logfile": str(self.log_path),
            "save": "",
            "appendonly": "yes" if appendonly else "no",
            "maxmemory-policy": "noeviction",
            "lazyfree-lazy-expire": "yes",
            "enable-debug-command": "local",
            **{name.replace("_", "-"): value for name, value in options.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it serves (also while it loads its append-only file)."""
        assert not self.alive, "the server already runs"
        self._process = subprocess.Popen(
            [self.binary, *self._arguments()],
            env=self._environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            restore_signals=False,  # SIGXFSZ stays ignored: past RLIMIT_FSIZE a write fails as on a full disk
        )
        give_up = time.monotonic() + READY_S
        while not self._answers():
            if not self.alive or time.monotonic() > give_up:
                self.kill()
                raise RuntimeError(f"{self.binary} did not start:\n{self.log()[-2000:]}")
            time.sleep(0.005)

    def _arguments(self) -> list[str]:
        return [part for name, value in self._options.items() for part in (f"--{name}", str(value))]

    def ask(self, *command: str) -> str:
        """One command; its simple, integer or bulk reply as text."""
        return ask(self.socket_path, *command, timeout_s=10.0)

    def ask_for_list(self, *command: str) -> list[str]:
        """One command whose reply is a list of strings."""
        with redis.Redis(unix_socket_path=str(self.socket_path), decode_responses=True, protocol=2) as client:
            return list(client.execute_command(*command))

    def stop(self) -> None:
        """Stop it as an operator would: SIGTERM, data written out as its settings say."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL: what a crash leaves behind."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Hang it: connections stay open, nothing is answered until `resume()`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """Kill it and delete its directory."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def role(self) -> str:
        """ "master" or "slave", by its own word."""
        return info_field(self.ask("INFO", "replication"), "role") or ""

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def _answers(self) -> bool:
        try:
            return ask(self.socket_path, "PING") == "PONG"
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)  # a paused process would not see SIGTERM
            process.send_signal(how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until(true: Callable[[], bool], what: str, *, within_s: float = READY_S) -> None:
    """Ask again and again; AssertionError naming `what` when it does not come true. What cannot be asked is not so."""
    give_up = time.monotonic() + within_s
    while not _true(true):
        assert time.monotonic() < give_up, f"within {within_s:g} s not so: {what}"
        time.sleep(0.02)


def _true(asked: Callable[[], bool]) -> bool:
    try:
        return asked()
    except (OSError, LookupError):
        return False


def in_sync(server: RedisServer) -> bool:
    """Whether it is a primary, or a replica whose link to its primary is up."""
    told = server.ask("INFO", "replication")
    return info_field(told, "role") == "master" or info_field(told, "master_link_status") == "up"
