"""Logging: one handler on the root, a line for people or a JSON object for machines, and no token in either."""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final, TextIO

from pythonjsonlogger.json import JsonFormatter

CONSOLE: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
# Client libraries that log a URL per request at INFO, so never by default; and what watches the directory of the
# settings file and logs each change of any file there: of the log itself, where that is one of them, for ever.
QUIET: Final = ("httpx2", "httpcore2", "httpx", "httpcore", "websockets", "asyncio", "urllib3", "watchfiles")

_TOKEN = re.compile(r"([?&;]|\b)((?:access_)?token|api[_-]?key)=[^&\s\"'#;]+", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer\s+)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)

_STRANGERS_FAULTS: Final = ("Invalid HTTP request", "Invalid UTF-8 sequence", "Unsupported upgrade request")


def configure(level: str = "info", format: str = "auto", *, stream: TextIO | None = None) -> None:
    """Send all logging to `stream` (None: stderr).

    `level` is debug, info, warning or error; `format` is console, json, or auto: console on a terminal, JSON elsewhere.
    Calling it again replaces what was there. uvicorn's loggers are routed here; its access log is off.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(as_json=format == "json" or (format == "auto" and not stream.isatty())))
    handler.addFilter(scrub)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        child = logging.getLogger(name)
        child.handlers.clear()
        child.propagate = name != "uvicorn.access"
    # uvicorn tells its own start and stop at INFO; the service tells them better.
    logging.getLogger("uvicorn.error").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("uvicorn.error").addFilter(_of_our_own)
    logging.captureWarnings(True)


def _of_our_own(record: logging.LogRecord) -> bool:
    """Drop what uvicorn says of bytes that are no request or no text: a stranger could fill the log with it."""
    return not str(record.msg).startswith(_STRANGERS_FAULTS)


def scrub(record: logging.LogRecord) -> bool:
    """A filter that lets every record pass, without the tokens of query strings and Authorization headers."""
    message = record.getMessage()
    scrubbed = scrubbed_text(message)
    if scrubbed != message:
        record.msg, record.args = scrubbed, None
    return True


def scrubbed_text(text: str) -> str:
    """`text` with the values of `token=…`, `api_key=…` and `Bearer …` replaced by `***`."""
    return _BEARER.sub(r"\1***", _TOKEN.sub(r"\1\2=***", text))


class _Console(logging.Formatter):
    def formatException(self, ei: Any) -> str:
        return scrubbed_text(super().formatException(ei))


class _Json(JsonFormatter):
    def formatException(self, ei: Any) -> str:
        return scrubbed_text(str(super().formatException(ei)))


def _formatter(*, as_json: bool) -> logging.Formatter:
    if not as_json:
        return _Console(CONSOLE)
    return _Json(
        "%(asctime)s %(levelname)s %(name)s %(message)s",
        rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )
