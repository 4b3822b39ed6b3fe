"""The receiver of offline notifications, against a service."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushpull.client import Server
from pushpull.web.webhook import signature
from tests.e2e.service import API_KEY, ServiceProcess
from tests.receiver import SECRET

RECEIVER = Path(__file__).parents[2] / "examples" / "offline_receiver.py"


@pytest.fixture
def receiver() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The example, and the URL it says it listens on."""
    process = subprocess.Popen(
        [sys.executable, "-u", str(RECEIVER), "--secret", SECRET, "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    listening = re.fullmatch(r"listening on (\S+)\n", process.stdout.readline())
    assert listening is not None
    yield process, listening[1]
    process.kill()
    process.communicate()


def test_the_receiver_prints_who_has_news(
    receiver: tuple[subprocess.Popen[str], str], redis_url: str, tmp_path: Path
) -> None:
    process, url = receiver
    settings = {"webhook_url": url, "webhook_secret": SECRET, "delay_s": 0.2}
    service = ServiceProcess(tmp_path, redis_url, **{f"offline__{name}": value for name, value in settings.items()})
    service.start()
    try:
        with Server(service.url, API_KEY) as server:
            server.put_conversation("tea", members=["bob"])
            server.send("tea", "Is the kettle on?", mentions=["bob"])
        assert process.stdout is not None
        assert process.stdout.readline() == "bob: 1 unread in tea, mentioned\n"
    finally:
        service.kill()


def test_the_receiver_takes_what_is_signed_with_its_secret_now_and_nothing_else() -> None:
    is_genuine = runpy.run_path(str(RECEIVER))["is_genuine"]
    key = b"k" * 24
    good = f"v1,bm9uc2Vuc2U= {signature(key, 'e1', 1_000, b'{}')}"
    assert is_genuine(key, "e1", "1000", b"{}", good, 1_200.0)
    for other in (
        (b"x" * 24, "e1", "1000", b"{}", good, 1_200.0),
        (key, "e2", "1000", b"{}", good, 1_200.0),
        (key, "e1", "1001", b"{}", good, 1_200.0),
        (key, "e1", "1000", b"[]", good, 1_200.0),
        (key, "e1", "1000", b"{}", "v1,bm9uc2Vuc2U=", 1_200.0),
        (key, "e1", "1000", b"{}", good, 1_301.0),
        (key, "e1", "soon", b"{}", good, 1_200.0),
    ):
        assert not is_genuine(*other)
