"""The rows of an old chat as a conversation, by the script that docs/moving.md shows."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pushpull.client import Server
from tests.e2e.service import API_KEY, ServiceProcess

SCRIPT = Path(__file__).parents[2] / "examples" / "rows_to_lines.py"
SCHEMA = """
CREATE TABLE rooms (id TEXT, title TEXT);
CREATE TABLE messages (id INTEGER, room TEXT, author TEXT, text TEXT, sent_at REAL, answers INTEGER);
CREATE TABLE members (room TEXT, user TEXT, role TEXT, last_read INTEGER);
INSERT INTO rooms VALUES ('tea', 'Tea'), ('coffee', 'Coffee');
INSERT INTO messages VALUES
  (7, 'tea', 'alice', 'Is the kettle on?', 1700000000.25, NULL),
  (9, 'tea', 'bob', 'It is.', 1700000010, 7),
  (8, 'coffee', 'bob', 'Black?', 1700000005, NULL),
  (12, 'tea', NULL, 'Bob boiled the kettle.', 1700000011, NULL);
INSERT INTO members VALUES
  ('tea', 'alice', 'moderator', 7), ('tea', 'bob', 'member', 12), ('coffee', 'bob', 'member', NULL);
"""


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    path = tmp_path / "chat.sqlite"
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
    database.close()
    return path


def lines_of(chat: Path, room: str) -> bytes:
    return subprocess.run([sys.executable, str(SCRIPT), str(chat), room], capture_output=True, check=True).stdout


def test_each_row_is_a_line(chat: Path) -> None:
    found: list[dict[str, Any]] = [json.loads(line) for line in lines_of(chat, "tea").splitlines()]
    assert [line["type"] for line in found] == ["conversation", *["message"] * 3, *["member"] * 2, "end"]
    assert found[2] == {
        "type": "message",
        "ts": 1_700_000_010_000,
        "from": "bob",
        "cmid": "old:9",
        "body": {"text": "It is."},
        "ref": 1,
    }


def test_the_old_chat_goes_on_here(chat: Path, redis_url: str, tmp_path: Path) -> None:
    service = ServiceProcess(tmp_path, redis_url)
    service.start()
    try:
        with Server(service.url, API_KEY) as server:
            done = server.import_conversation("tea", [lines_of(chat, "tea")])
            assert (done["made"], done["messages"], done["members"]) == (True, 3, 2)
            assert [message.ts for message in server.messages("tea")] == [1700000000250, 1700000010000, 1700000011000]
            assert [server.unread(user)["total"] for user in ("alice", "bob")] == [2, 0]
            assert server.send("tea", "And the milk?", sender="alice").id.startswith("4-")
    finally:
        service.kill()
