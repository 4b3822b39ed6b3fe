"""Logging: lines for people, objects for machines, tokens for nobody."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from pushpull import logs


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_machine_gets_one_json_object_a_line() -> None:
    stream = io.StringIO()
    logs.configure("info", "auto", stream=stream)

    logging.getLogger("pushpull.node").info("%d feeds", 3)

    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["message"]) == ("INFO", "pushpull.node", "3 feeds")
    assert "time" in line


def test_a_person_at_a_terminal_gets_a_plain_line() -> None:
    stream = Terminal()
    logs.configure("info", "auto", stream=stream)

    logging.getLogger("pushpull.node").warning("3 feeds")

    assert stream.getvalue().endswith("WARNING pushpull.node: 3 feeds\n")


def test_the_level_is_kept() -> None:
    stream = io.StringIO()
    logs.configure("warning", "console", stream=stream)

    logging.getLogger("pushpull").info("no")
    logging.getLogger("uvicorn.error").warning("yes")

    assert "no" not in stream.getvalue()
    assert "yes" in stream.getvalue()


def test_uvicorns_access_log_is_off() -> None:
    stream = io.StringIO()
    logs.configure("debug", "console", stream=stream)

    logging.getLogger("uvicorn.access").info("GET /v1/ws")

    assert stream.getvalue() == ""


def test_a_log_beside_the_settings_file_does_not_grow_by_what_is_said_of_it() -> None:
    stream = io.StringIO()
    logs.configure("debug", "console", stream=stream)

    logging.getLogger("watchfiles.main").info("1 change detected")

    assert stream.getvalue() == ""


@pytest.mark.parametrize("format", ["console", "json"])
@pytest.mark.parametrize(
    "message",
    [
        "GET /v1/ws?token=hunter2hunter2 HTTP/1.1",
        "/v1/ws?a=1&token=hunter2hunter2&b=2",
        "access_token=hunter2hunter2",
        "Authorization: Bearer hunter2hunter2",
    ],
)
def test_tokens_are_scrubbed(format: str, message: str) -> None:
    stream = io.StringIO()
    logs.configure("info", format, stream=stream)

    logging.getLogger("uvicorn.error").warning("%s %s", "refused", message)
    try:
        raise ValueError(message)
    except ValueError:
        logging.getLogger("uvicorn.error").exception("failed")

    assert "hunter2" not in stream.getvalue()
    assert "***" in stream.getvalue()
    assert "refused" in stream.getvalue()
