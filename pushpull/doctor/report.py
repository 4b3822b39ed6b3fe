"""The items as people read them, and as programs do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pushpull.doctor.amounts import counted
from pushpull.doctor.finding import Finding, Item, Status, worst

STYLES: Final = {Status.SKIPPED: "dim", Status.OK: "green", Status.WARNING: "yellow", Status.ERROR: "bold red"}


def as_json(items: Sequence[Item]) -> dict[str, Any]:
    """{status, items: [{item, status, seen, findings: [{code, status, seen, why, mend}]}]}."""
    return {
        "status": overall(items).value,
        "items": [
            {
                "item": item.name,
                "status": item.status.value,
                "seen": item.seen,
                "findings": [_finding(finding) for finding in item.findings],
            }
            for item in items
        ],
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "code": finding.code,
        "status": finding.status.value,
        "seen": finding.seen,
        "why": finding.why,
        "mend": finding.mend,
    }


def overall(items: Sequence[Item]) -> Status:
    """The worst of all; what was skipped does not count."""
    return worst(item.status for item in items)


def exit_code(items: Sequence[Item], *, strict: bool) -> int:
    """0, or 1 where there is an error; `strict`: or a warning."""
    bad = {Status.ERROR, Status.WARNING} if strict else {Status.ERROR}
    return int(overall(items) in bad)


def show(items: Sequence[Item], console: Console) -> None:
    """A table of what was looked at, then each finding with why and how to mend it."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("item", "", "seen"):
        table.add_column(name, no_wrap=name != "seen", overflow="fold")
    for item in items:
        table.add_row(Text(item.name), Text(item.status.value, STYLES[item.status]), Text(item.seen))
    console.print(table)
    findings = [finding for item in items for finding in item.findings]
    for finding in sorted(findings, key=lambda each: each.status != Status.ERROR):
        console.print(_shown(finding))
    console.print(Text(f"\n{_summary(findings)}"))


def _shown(finding: Finding) -> RenderableType:
    head = Text.assemble("\n", (finding.status.value, STYLES[finding.status]), " ", (finding.code, "bold"))
    lines = Table.grid(padding=(0, 1))
    for name, text in (("seen", finding.seen), ("why", finding.why), ("mend", finding.mend)):
        lines.add_row(Text(name, "dim"), Text(text))
    return Group(head, Padding(lines, (0, 0, 0, 2)))


def _summary(findings: Sequence[Finding]) -> str:
    errors = sum(finding.status == Status.ERROR for finding in findings)
    if not findings:
        return "nothing found"
    return f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}"
