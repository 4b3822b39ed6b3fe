"""What export and import show while they are at it, and when they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

Report = Callable[[int, int | None], None]
"""How much is done, of how much (None: that is not known)."""


@contextmanager
def bar(what: str, unit: str) -> Iterator[Report]:
    """A bar on a terminal, nothing in a pipe."""
    console = Console(stderr=True)
    columns = (
        TextColumn(what),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        task = shown.add_task(what, total=None, done="")

        def report(done: int, total: int | None) -> None:
            shown.update(task, completed=done, total=total, done=f"{done:,} {unit}")

        yield report


def counted(counts: dict[str, int]) -> str:
    """`18 messages, 3 redacted, 4 members`."""
    redacted = f", {counts['redacted']} redacted" if counts["redacted"] else ""
    return f"{counts['messages']} messages{redacted}, {counts['members']} members"
