"""Fixtures of the fault tests, and the table of what came of each at the end of the run.

`PUSHPULL_FAULTS_JSON=FILE` writes the rows there, too.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from tests.faults.fault import Fault, judged, suffer
from tests.faults.load import Load
from tests.faults.results import Result, table, write

DELIVERIES_MIN = 300
"""A run that checked fewer had hardly any load, and proves nothing."""

ROW, FIGURES = "fault", "figures"
"""Properties of a test: they come with its report, also from another process."""

Endure = Callable[[Fault, Load], Awaitable[Result]]
Note = Callable[[str], None]


@pytest.fixture
def note_result(request: pytest.FixtureRequest) -> Callable[[Result], None]:
    """Put a row into the table, and fail where something was violated."""

    def note(result: Result) -> None:
        request.node.user_properties.append((ROW, msgspec.to_builtins(result)))
        assert result.violations == []

    return note


@pytest.fixture
def endure(note_result: Callable[[Result], None]) -> Endure:
    """Let a load suffer a fault, heal in time, and be judged."""

    async def run(fault: Fault, load: Load) -> Result:
        heal_s = await suffer(fault, load)
        result = await judged(fault, load, heal_s=heal_s)
        note_result(result)
        assert result.deliveries > DELIVERIES_MIN
        return result

    return run


@pytest.fixture
def note_figures(request: pytest.FixtureRequest) -> Note:
    """Put a line of measurements below the table."""
    return lambda line: request.node.user_properties.append((FIGURES, line))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
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
