"""How many lines this process logs that an operator may act on."""

from __future__ import annotations

import logging

from pushpull.node.metrics import Metrics

LOGGER = logging.getLogger("pushpull")


class LogRecords(logging.Handler):
    """Counts warnings and errors from `begin` to `end`, whatever else handles them."""

    def __init__(self, metrics: Metrics) -> None:
        super().__init__(logging.WARNING)
        self._counts = metrics.log_records

    def begin(self) -> None:
        LOGGER.addHandler(self)

    def end(self) -> None:
        LOGGER.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self._counts.labels("error" if record.levelno >= logging.ERROR else "warning").inc()
