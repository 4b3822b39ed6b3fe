"""`pushpull doctor`: what in this Redis, this machine or these settings will bite, and how to mend it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console

from pushpull.client.addresses import urls_in
from pushpull.commands._local import LocalService, config_option, settings_in_force
from pushpull.commands._service import api_key_option, json_option, url_option
from pushpull.commands._show import show_json
from pushpull.doctor import report
from pushpull.doctor.checks import examined
from pushpull.doctor.checks.settings import SETTINGS_INVALID
from pushpull.doctor.finding import Item
from pushpull.doctor.gather import gather
from pushpull.errors import ConfigError
from pushpull.store.examination import Look

PINGS = 100
LINE = 1_000


@click.command()
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings, too.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, 600),
    default=3.0,
    show_default=True,
    metavar="S",
    help="How long messages are counted, for what memory there will be in a month.",
)
@json_option
@url_option
@api_key_option
@config_option
def command(
    *, strict: bool, seconds: float, as_json: bool, urls: tuple[str, ...], api_key: str | None, config_file: str | None
) -> None:
    """Look at the settings, the machine and Redis, and say what will bite and how to mend it. Changes nothing.

    With --url a running service is asked, too. Exit status 0: no error was found; 1: one was; 2: wrong usage.
    """
    with _quiet(), _waiting(seconds):
        items = _items(config_file, Look(pings=PINGS, over_s=seconds), urls, api_key)
    if as_json:
        show_json(report.as_json(items))
    else:
        _show(items)
    raise click.exceptions.Exit(report.exit_code(items, strict=strict))


def _show(items: list[Item]) -> None:
    """As wide as the terminal; in a pipe a line stays a line."""
    console = Console(highlight=False)
    if console.is_terminal:
        report.show(items, console)
        return
    console = Console(highlight=False, width=LINE)
    with console.capture() as shown:
        report.show(items, console)
    click.echo("\n".join(line.rstrip() for line in shown.get().splitlines()))


def _items(config_file: str | None, look: Look, urls: tuple[str, ...], key: str | None) -> list[Item]:
    """What was found; of settings that cannot be used only that."""
    try:
        settings, origins = settings_in_force(config_file)
        asked = urls_in(",".join(urls)) if any(urls) else ()
        local = LocalService(settings)
        if set(asked) <= {local.url}:
            key = key or local.api_key  # this machine's key goes to this machine's service and nowhere else
        return examined(asyncio.run(gather(settings, origins, look, urls=asked, key=key)))
    except ConfigError as problem:
        return [Item("settings", "they cannot be used", (SETTINGS_INVALID.found(problem.message),))]


@contextmanager
def _quiet() -> Iterator[None]:
    """What is logged on the way says nothing that the findings do not: with a handler it is not written to stderr."""
    logger = logging.getLogger("pushpull")
    silent = logging.NullHandler()
    logger.addHandler(silent)
    try:
        yield
    finally:
        logger.removeHandler(silent)


@contextmanager
def _waiting(seconds: float) -> Iterator[None]:
    """A sign of life on a terminal, nothing in a pipe."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(f"looking, for {seconds:g} s and a little more"):
            yield
    else:
        yield
