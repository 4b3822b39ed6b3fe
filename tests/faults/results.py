"""What came of each fault: rows for a table, and for a file of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

HEADINGS = ("fault", "runs", "sends answered", "deliveries checked", "violations", "time to heal", "at most")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, once. `heal_s`: None where there is nothing to heal."""

    fault: str
    sends: int
    answered: int
    deliveries: int
    violations: list[str]
    heal_s: float | None = None
    heal_within_s: float | None = None


def table(results: Iterable[Result]) -> list[str]:
    """The lines of a table, one row a fault, all runs of it together: sums, and the longest time to heal."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        grouped.setdefault(result.fault, []).append(result)
    rows = [HEADINGS, *(_row(fault, runs) for fault, runs in grouped.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(_cell(column, cell, widths[column]) for column, cell in enumerate(row)) for row in rows]
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def write(path: Path, results: Sequence[Result]) -> None:
    """All of them, as a list of objects."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n")


def _row(fault: str, runs: Sequence[Result]) -> tuple[str, ...]:
    return (
        fault,
        str(len(runs)),
        f"{sum(run.answered for run in runs):,}",
        f"{sum(run.deliveries for run in runs):,}",
        str(sum(len(run.violations) for run in runs)),
        _seconds(max((run.heal_s for run in runs if run.heal_s is not None), default=None)),
        _seconds(runs[-1].heal_within_s),
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f} s"


def _cell(column: int, cell: str, width: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
