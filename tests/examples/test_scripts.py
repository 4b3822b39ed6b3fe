"""The bot of a live event, and the backend that writes to many: started as somebody starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pushpull.client import Server
from tests.docs.blocks import ROOT
from tests.e2e.service import API_KEY, ServiceProcess, token_of
from tests.servers.server import wait_until

EXAMPLES = ROOT / "examples"


@pytest.fixture
def service(redis_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    process = ServiceProcess(tmp_path, redis_url, delivery__notify_interval_ms=50)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def server(service: ServiceProcess) -> Iterator[Server]:
    with Server(service.url, API_KEY) as server:
        yield server


def test_the_bot_says_what_is_said_most_in_a_group_that_is_notified(service: ServiceProcess, server: Server) -> None:
    server.put_conversation("hall", members=["bot", "ann"], settings={"mode": "notify"})
    server.send("hall", {"text": "before its time"}, sender="ann")
    arguments = ["live_comments.py", "--url", service.url, "--cid", "hall", "--every-s", "0.3"]
    bot = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=EXAMPLES,
        env={**os.environ, "TOKEN": token_of("bot")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert bot.stdout is not None
        assert bot.stdout.readline() == "listening as bot\n"
        said: list[str] = []

        def talks() -> bool:
            server.send("hall", {"text": "Goal! Goal for the team"}, sender="ann")
            server.send("hall", "a body of another kind", sender="ann")
            said[:] = [message.body["text"] for message in server.messages("hall") if message.sender == "bot"]
            return bool(said)

        wait_until(talks, "the bot said something")
        assert said[0].startswith("said most: goal (")
        assert "before" not in said[0]
    finally:
        bot.kill()
        bot.communicate()


def notify(service: ServiceProcess, file: Path) -> str:
    environ = {**os.environ, "PUSHPULL_URL": service.url, "API_KEY": API_KEY}
    done = subprocess.run(
        [sys.executable, "notifications.py", str(file)], cwd=EXAMPLES, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_each_user_is_told_once_however_often_the_file_is_sent(
    service: ServiceProcess, server: Server, tmp_path: Path
) -> None:
    file = tmp_path / "orders.csv"
    file.write_text("ann,1,It is on its way\nbob,2,It is on its way\nann,3,It is ready\n")

    assert notify(service, file).splitlines() == ["ann: sent", "bob: sent", "ann: sent"]
    assert notify(service, file).splitlines() == ["ann: sent before", "bob: sent before", "ann: sent before"]
    told = [(message.sender, message.kind, message.body["order"]) for message in server.messages("notifications-ann")]
    assert told == [(None, "sys.order", "1"), (None, "sys.order", "3")]
    assert server.unread("ann")["total"] == 2
