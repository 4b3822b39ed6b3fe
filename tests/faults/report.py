"""The table of what came of each fault, at the end of a test run.

`PUSHPULL_FAULTS_JSON=FILE` writes the rows there, too.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tests.faults.results import Result, table, write

ROW, FIGURES = "fault", "figures"
"""Properties of a test: they come with its report, also from another process."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):  # one of several processes that run tests: the first has all reports
        return
    noted = [
        each
        for reports in (terminalreporter.getreports("passed"), terminalreporter.getreports("failed"))
        for report in reports
        if report.when == "call"
        for each in report.user_properties
    ]
    results = [msgspec.convert(value, Result) for name, value in noted if name == ROW]
    if not results:
        return
    terminalreporter.section("faults")
    for line in table(results):
        terminalreporter.write_line(line)
    for name, line in noted:
        if name == FIGURES:
            terminalreporter.write_line(str(line))
    if file := os.environ.get("PUSHPULL_FAULTS_JSON"):
        write(Path(file), results)
