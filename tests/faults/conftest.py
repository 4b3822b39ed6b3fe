"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from tests.faults.fault import Fault, judged, suffer
from tests.faults.load import Load
from tests.faults.report import FIGURES, ROW
from tests.faults.results import Result

DELIVERIES_MIN = 300
"""A run that checked fewer had hardly any load, and proves nothing."""


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
