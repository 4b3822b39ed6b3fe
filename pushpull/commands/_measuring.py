"""What the commands that measure have in common: a bar, and an end in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pushpull.bench.run import Watch

Result = TypeVar("Result")


def measured(measuring: Coroutine[None, None, Result]) -> Result:
    """Its result. SIGTERM, as Ctrl-C does anyway, ends the measuring and all that was started for it."""

    async def until_told() -> Result:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await measuring

    try:
        return asyncio.run(until_told())
    except asyncio.CancelledError:
        raise click.Abort from None


@contextmanager
def progress() -> Iterator[Watch]:
    """A bar on a terminal, nothing in a pipe."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        bar = shown.add_task("starting")

        def watch(step: str, done: int, of: int) -> None:
            shown.update(bar, description=step, completed=done, total=of)

        yield watch
