"""A real nginx with the configuration that deploy/nginx ships. Ports, paths and nodes alone are the test's."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.leaks import watch
from tests.programs import program
from tests.servers.ports import free_port

SHIPPED = Path(__file__).parents[2] / "deploy" / "nginx"
FILES = ("nginx.conf", "pushpull.conf", "tls.conf")
READY_S = 10.0


class Nginx:
    """Listens on 127.0.0.1, before the nodes at these two ports. `tls`: a certificate and its key, PEM."""

    def __init__(self, directory: Path, nodes: Sequence[int], *, tls: tuple[str, str] | None = None) -> None:
        self.directory = directory
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._last_port = self.port if tls is None else self.tls_port  # it listens on one after the other
        self._log, self._errors = directory / "access.log", directory / "error.log"
        self._process: subprocess.Popen[bytes] | None = None
        first, second = nodes
        for name in FILES:
            (directory / name).write_text((SHIPPED / name).read_text())
        self._put("nginx.conf", "/tmp/", f"{directory}/", times=6)
        self._put("nginx.conf", "listen 8080;", f"listen 127.0.0.1:{self.port};")
        self._put("nginx.conf", "server pushpull-1:8080 ", f"server 127.0.0.1:{first} ", times=2)
        self._put("nginx.conf", "server pushpull-2:8080 ", f"server 127.0.0.1:{second} ", times=2)
        self._put("nginx.conf", "/dev/stderr", str(self._errors))
        self._put("nginx.conf", "/dev/stdout", str(self._log))
        if tls is not None:
            self._encrypt(*tls)
        watch.file(self._log)
        watch.file(self._errors)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def check(self) -> str:
        """What `nginx -t` says. AssertionError where it refuses."""
        done = subprocess.run([*self._command(), "-t"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process = subprocess.Popen(self._command("daemon off;"), stdin=subprocess.DEVNULL)
        give_up = time.monotonic() + READY_S
        while not self._listens():
            assert self._process.poll() is None, f"nginx ended:\n{self.errors}"
            assert time.monotonic() < give_up, f"nginx did not listen within {READY_S:g} s:\n{self.errors}"
            time.sleep(0.01)

    def stop(self) -> None:
        """End it, with every connection."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(timeout=10)

    def _command(self, directives: str = "") -> list[str]:
        # As root its workers would be somebody else, who may not enter the test's directory.
        user = "user root; " if os.geteuid() == 0 else ""
        return [
            program("nginx"),
            *("-p", str(self.directory)),
            *("-c", str(self.directory / "nginx.conf")),
            *("-e", str(self._errors)),
            *("-g", user + directives),
        ]

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._last_port)) == 0

    def _encrypt(self, certificate: str, key: str) -> None:
        (self.directory / "certificate.pem").write_text(certificate)
        (self.directory / "key.pem").write_text(key)
        self._put("nginx.conf", "# include tls.conf;", "include tls.conf;")
        self._put("tls.conf", "listen 8443 ", f"listen 127.0.0.1:{self.tls_port} ")
        self._put("tls.conf", "/etc/nginx/tls/", f"{self.directory}/", times=2)

    def _put(self, name: str, shipped: str, ours: str, *, times: int = 1) -> None:
        path = self.directory / name
        text = path.read_text()
        assert text.count(shipped) == times, f"{name} holds {shipped!r} {text.count(shipped)} times, expected {times}"
        path.write_text(text.replace(shipped, ours))
