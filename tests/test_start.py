"""From a fresh clone to a running service, as a new user gets there: an empty home, no environment, one command."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import free_port

ROOT = Path(__file__).parent.parent
NOT_CLONED = shutil.ignore_patterns(".*", "data", "__pycache__", "*.egg-info", "dist")
# Most of it is pip, on a slow line.
INSTALL_S = 240.0

pytestmark = pytest.mark.timeout(400)


class Started:
    """`./scripts/start` in a copy of the repository, its output kept in a file."""

    def __init__(self, home: Path, clone: Path) -> None:
        self.clone = clone
        self.port = free_port()
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
        self._output = home.parent / "output"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *flags: str) -> None:
        """Start it and wait until it serves and has greeted."""
        greeted = self._greetings()
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                ["./scripts/start", "--port", str(self.port), *flags],
                cwd=self.clone,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        give_up = time.monotonic() + INSTALL_S
        while self._greetings() == greeted or not self._healthy():
            assert self._process.poll() is None, f"it ended with {self._process.returncode}:\n{self.output}"
            assert time.monotonic() < give_up, f"it did not serve within {INSTALL_S} s:\n{self.output}"
            time.sleep(0.1)

    @property
    def output(self) -> str:
        return self._output.read_text()

    def run(self, command: str) -> str:
        """A line out of the greeting, as typed at another terminal in the same directory."""
        done = subprocess.run(
            command, shell=True, cwd=self.clone, env=self.environ, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def end(self, how: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(timeout=60)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _greetings(self) -> int:
        return self.output.count("pushpull serves") if self._output.exists() else 0

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    directory = tmp_path_factory.mktemp("new-user")
    (directory / "home").mkdir()
    shutil.copytree(ROOT, directory / "clone", ignore=NOT_CLONED)
    started = Started(directory / "home", directory / "clone")
    yield started
    started.kill()


def test_a_fresh_clone_is_one_command_from_serving_and_keeps_its_data(clone: Started) -> None:
    clone.start()

    assert f"pushpull serves http://127.0.0.1:{clone.port}" in clone.output
    assert re.search(r"^API key: \S{32,}$", clone.output, re.MULTILINE)
    token, send, tail = re.findall(r"^  (.*pushpull.*)$", clone.output, re.MULTILINE)
    assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", clone.run(token))
    clone.run(send)
    assert "tail" in tail
    tailing = subprocess.Popen(
        f"exec env {tail}",
        shell=True,
        cwd=clone.clone,
        env=clone.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert tailing.stdout is not None
        assert "Hello, Bob" in tailing.stdout.readline()
    finally:
        tailing.kill()
        tailing.communicate()
    assert clone.end(signal.SIGTERM) == 0

    key = re.findall(r"^API key: (\S+)$", clone.output, re.MULTILINE)[0]
    clone.start()
    assert re.findall(r"^API key: (\S+)$", clone.output, re.MULTILINE) == [key, key]
    assert "Hello, Bob" in clone.run(tail.replace(" tail hello --as bob", " history hello"))
    assert clone.end(signal.SIGINT) == 0
    assert "Traceback" not in clone.output


def test_a_port_in_use_is_one_clear_line(clone: Started) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", 0))
        occupant.listen()
        port = occupant.getsockname()[1]

        done = subprocess.run(
            ["./scripts/start", "--port", str(port)],
            cwd=clone.clone,
            env=clone.environ,
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
        )

    assert done.returncode == 1
    assert f"{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_new_enough_python_it_says_so(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "clone", ignore=NOT_CLONED)
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cat", "cksum"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    (programs / "python3").chmod(0o755)

    done = subprocess.run(
        ["./scripts/start"], cwd=tmp_path / "clone", env={"PATH": str(programs)}, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stderr.startswith("error: no Python 3.11 or newer found")
