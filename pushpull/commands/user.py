"""`pushpull user delete UID`: a user who asks to be forgotten."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pushpull.client import Server
from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json
from pushpull.errors import ConfigError

LOOK_S: Final = 0.5
ENDED: Final = ("done", "failed", "none")

Watch = Callable[[dict[str, Any]], None]


@click.group()
def command() -> None:
    """What is kept of a user."""


@command.command("delete")
@click.argument("uid")
@click.option(
    "--messages",
    type=click.Choice(["keep", "redact"]),
    required=True,
    help="What becomes of its messages: they stay under its name, or are redacted one and all.",
)
@click.option("--no-wait", is_flag=True, help="Ask for it, and do not wait until it is done.")
@json_option
@service_options
def delete(target: Target, uid: str, messages: str, no_wait: bool, as_json: bool) -> None:
    """Delete the user UID: its sessions, its memberships and all that is kept of it.

    Asked for again while it is under way, it is followed to its end. Exit status 1 when it failed.
    """
    with target.server() as server:
        stands = server.delete_user(uid, messages=messages)
        if not no_wait:
            with _bar() as watch:
                stands = _awaited(server, uid, stands, watch)
    if as_json:
        show_json(stands)
    else:
        click.echo(_said(stands))
    if stands["state"] == "failed":
        raise ConfigError(f"the deletion of {uid} failed: {stands['error']}; ask for it again to go on")


def _awaited(server: Server, uid: str, stands: dict[str, Any], watch: Watch) -> dict[str, Any]:
    while stands["state"] not in ENDED:
        watch(stands)
        time.sleep(LOOK_S)
        stands = server.deletion(uid)
    return stands


def _said(stands: dict[str, Any]) -> str:
    counted, redacted = stands["conversations"], stands["redacted"]
    if stands["state"] in ("waiting", "running"):
        return f"{stands['user']} is being deleted; how it stands: pushpull user deletion {stands['user']}"
    if stands["state"] == "none":
        return f"no deletion of {stands['user']} is known"
    gone = f"{redacted} entries redacted" if stands["messages"] == "redact" else "its messages stay"
    return f"{stands['user']}: {stands['state']}; {counted['done']} conversations, {gone}"


@command.command("deletion")
@click.argument("uid")
@json_option
@service_options
def deletion(target: Target, uid: str, as_json: bool) -> None:
    """Show how the deletion of the user UID stands."""
    with target.server() as server:
        stands = server.deletion(uid)
    if as_json:
        show_json(stands)
        return
    counted = stands["conversations"]
    click.echo(f"{uid}: {stands['state']}, {counted['done']} of {counted['total'] or '?'} conversations")
    if stands["error"]:
        click.echo(f"last problem: {stands['error']}")


@contextmanager
def _bar() -> Iterator[Watch]:
    """A bar on a terminal, nothing in a pipe."""
    console = Console(stderr=True)
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as shown:
        bar = shown.add_task("looking for its conversations", total=None)

        def watch(stands: dict[str, Any]) -> None:
            counted = stands["conversations"]
            what = "conversations" if counted["total"] is not None else "looking for its conversations"
            shown.update(bar, description=stands["error"] or what, completed=counted["done"], total=counted["total"])

        yield watch
