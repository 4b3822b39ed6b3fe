"""What must never stand in a log: every record and every service's output of the whole test run is searched for it.

Records are looked at as they are made, so it does not matter which handlers a test has put in place or taken away;
of what is made, all levels from DEBUG on. `tests/conftest.py` puts the watch up, and fails the test that leaked.
"""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from pushpull.logs import QUIET, scrubbed_text

SECRET: Final = "a-secret-of-at-least-32-characters!"
API_KEY: Final = "an-api-key-of-the-tests"
WORDS: Final = "canary-words-of-a-message"
PASSWORD: Final = "canary-password-of-redis"
WEBHOOK_SECRET: Final = "whsec_Y2FuYXJ5LXNlY3JldC1vZi10aGUtd2ViaG9vaw=="
"""Values that tests use where real ones would be secret."""

_TOKEN: Final = re.compile(r"\beyJ[\w-]{10,}")


class LeakWatch:
    """Searches text for secrets and for anything that looks like a token; keeps where it found some, not what."""

    def __init__(self, secrets: Iterable[str] = (SECRET, API_KEY, WORDS, PASSWORD, WEBHOOK_SECRET)) -> None:
        self._secrets = tuple(secrets)
        self._found: list[str] = []
        self._files: dict[Path, int] = {}  # how much of each was searched

    def record(self, record: logging.LogRecord) -> None:
        """Search a record as the service's own handler would write it: scrubbed, with its traceback."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[0]:
            text += "".join(traceback.format_exception(*record.exc_info))
        self.text(scrubbed_text(text), f"{record.name}, {record.levelname}, {record.pathname}:{record.lineno}")

    def text(self, text: str, where: str) -> None:
        named = [f"secret {at}" for at, secret in enumerate(self._secrets) if secret in text]
        if _TOKEN.search(text):
            named.append("a token")
        if named:
            self._found.append(f"{' and '.join(named)} in {where}")

    def file(self, path: Path) -> None:
        """Search this file from now on, whenever `take` is called."""
        self._files.setdefault(path, 0)

    def take(self) -> list[str]:
        """What was found since the last time, in records and files."""
        for path, searched in self._files.items():
            if path.exists():
                content = path.read_bytes()
                self.text(content[searched:].decode(errors="replace"), str(path))
                self._files[path] = content.rfind(b"\n") + 1  # a line that is being written is searched whole later
        found, self._found = self._found, []
        return found


watch: Final = LeakWatch()


def install() -> None:
    """Have every log record of this process searched."""
    make = logging.getLogRecordFactory()

    def make_searched(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        watch.record(record)
        return record

    logging.setLogRecordFactory(make_searched)


def talk_about_everything() -> None:
    """Levels as those of a service that was told to log at DEBUG (`logs.configure`)."""
    logging.getLogger().setLevel(logging.DEBUG)
    for name in (*QUIET, "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)
