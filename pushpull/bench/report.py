"""A report as text: each target with what was measured, then the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pushpull.bench.figures import Figure, spread_over_runs
from pushpull.bench.run import Measured, Report
from pushpull.bench.scale import FULL

COLUMNS: Final = ("figure", "target", "measured", "ratio", "")
VERDICTS: Final = {True: "pass", False: "MISS", None: ""}


def as_text(report: Report, *, everything: bool = False) -> str:
    """Aligned columns, a block for each workload; `everything`: also what has no target."""
    where = report.machine
    lines = [
        f"{where.processor}, {where.cores} cores, {where.memory_gib:g} GiB; {where.kernel}; Python {where.python}, "
        f"{where.redis}, pushpull {where.pushpull}",
        f"{report.scale.name}, {_runs(report)}, {report.load_processes} load process"
        f"{'es' if report.load_processes > 1 else ''}, {report.seconds:,.0f} s in all, {where.at}",
        *(f"{name}={value}" for name, value in where.settings.items()),
    ]
    rows = {result.workload: _rows(result, everything=everything) for result in report.results}
    widths = _widths([row for block in rows.values() for row in block])
    for result in report.results:
        lines += ["", f"{result.workload}: {result.about} ({result.seconds:.0f} s)"]
        lines += [_line(row, widths) for row in rows[result.workload]]
        lines += [f"  note: {note}" for note in result.notes]
        lines += [f"  WRONG: {what}" for what in result.wrong]
    return "\n".join([*lines, "", _verdict(report)])


def _runs(report: Report) -> str:
    runs = max((len(result.runs) for result in report.results), default=0)
    return f"medians of {runs} runs" if runs > 1 else "one run"


def _rows(result: Measured, *, everything: bool) -> list[Sequence[str]]:
    shown = [figure for figure in result.figures if everything or figure.has_target]
    if not everything:
        shown += [figure for figure in result.figures if not figure.has_target and _is_told(figure)]
    return [_row(figure, result) for figure in shown]


def _is_told(figure: Figure) -> bool:
    """What is needed to judge the targets: the floor, the load's own limit, how busy all were."""
    return figure.name.startswith("floor") or figure.name.endswith(("load's ceiling", "server busy", "load busy"))


def _row(figure: Figure, result: Measured) -> Sequence[str]:
    ratio = figure.ratio if figure.has_target else None
    verdict = figure.note if figure.value is None else VERDICTS[figure.ok]
    measured = "-" if figure.value is None else f"{number(figure.value)} {figure.unit}".rstrip()
    between = spread_over_runs(result.runs, figure.name)
    if between is not None and len(result.runs) > 1 and figure.value is not None:
        measured += f" ({number(between[0])} to {number(between[1])})"
    return (figure.name, _target(figure), measured, "" if ratio is None else f"{ratio:.2f}", verdict)


def _target(figure: Figure) -> str:
    if not figure.has_target:
        return ""
    sign, limit = ("≤", figure.at_most) if figure.at_most is not None else ("≥", figure.at_least)
    assert limit is not None
    if figure.floor is not None:
        return f"{sign} {limit:g} × {number(figure.floor)} {figure.unit}"
    return f"{sign} {number(limit)} {figure.unit}".rstrip()


def number(value: float) -> str:
    """Three figures that mean something, and thousands set apart."""
    if value and abs(value) < 10:
        return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"
    return f"{value:,.1f}" if abs(value) < 100 else f"{value:,.0f}"


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max((len(row[column]) for row in rows), default=0) for column in range(len(COLUMNS))]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _verdict(report: Report) -> str:
    judged = [figure.ok for result in report.results for figure in result.figures if figure.ok is not None]
    if report.wrong:
        return f"{len(report.wrong)} counts do not add up: these figures mean nothing"
    # A group of 1,000 that meets what is asked of one of 10,000 has shown little.
    smaller = "" if report.scale.name == FULL.name else "; at smaller sizes than the targets are about: --full decides"
    return f"{sum(judged)} of {len(judged)} targets met{smaller}"
