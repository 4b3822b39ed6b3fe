"""A service for the tests of your app: a real one, empty at first, gone afterwards.

with pushpull.testing.service(offline__delay_s=0.2) as chat:
    server = pushpull.client.Server(chat.url, chat.api_key, jwt_secret=chat.jwt_secret)

It is `pushpull serve` in a process of its own, with a Redis of its own and its data in a temporary directory. It takes
one to two seconds to start, so start one for all tests and let each use conversations and users of its own.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pushpull.errors import ConfigError

START_S: Final = 30.0
STOP_S: Final = 20.0
TRIES: Final = 3
"""A free port may be taken by somebody else before the service has it."""

Setting = str | int | float


@dataclass(frozen=True, slots=True, repr=False)
class TestService:
    """Where the service is, and the keys that were made for it."""

    __test__ = False  # pytest: this is no class of tests

    url: str
    api_key: str
    jwt_secret: str
    webhook_secret: str


@contextmanager
def service(**settings: Setting) -> Iterator[TestService]:
    """A service for as long as the block lasts.

    `settings` as in the environment, in lower case: `offline__webhook_url="http://127.0.0.1:9000/"`. Variables of the
    environment that begin with PUSHPULL_ do not reach it. Raises ConfigError when it does not start.
    """
    with tempfile.TemporaryDirectory(prefix="pushpull-test-", ignore_cleanup_errors=True) as place:
        started, process = _started(Path(place), settings)
        try:
            yield started
        finally:
            _end(process)


def _started(place: Path, settings: Mapping[str, Setting]) -> tuple[TestService, subprocess.Popen[bytes]]:
    for last in (False,) * (TRIES - 1) + (True,):
        made = TestService(
            f"http://127.0.0.1:{_free_port()}",
            secrets.token_urlsafe(24),
            secrets.token_urlsafe(36),
            "whsec_" + secrets.token_hex(24),  # hex is base64, too
        )
        process = _serve(made, place, settings)
        try:
            _wait_until_ready(made.url, process, place / "log")
            return made, process
        except ConfigError as error:
            _end(process)
            if last or "in use" not in str(error):
                raise
    raise AssertionError("the last try either returns or raises")


def _serve(made: TestService, place: Path, settings: Mapping[str, Setting]) -> subprocess.Popen[bytes]:
    own = {
        "auth__api_keys": made.api_key,
        "auth__jwt_secret": made.jwt_secret,
        "offline__webhook_secret": made.webhook_secret,
        "server__port": made.url.rpartition(":")[2],
        "server__data_dir": str(place / "data"),
        "server__drain_s": 0,
        "log__level": "warning",
        **settings,
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PUSHPULL_")}
    with (place / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", "from pushpull.cli import main; main()", "serve"],
            cwd=place,
            env={**environ, **{f"PUSHPULL_{name.upper()}": str(value) for name, value in own.items()}},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches the tests, which end it
        )


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + START_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(f"{url}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except urllib.error.HTTPError as not_ready:
            not_ready.close()
        except OSError:
            pass  # it does not listen yet
        if (ended := process.poll() is not None) or time.monotonic() > give_up:
            said = log.read_text(errors="replace")[-1000:].strip() or "it said nothing"
            what = "ended before it was ready" if ended else f"was not ready within {START_S:g} s"
            raise ConfigError(f"the service for tests {what}: {said}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
