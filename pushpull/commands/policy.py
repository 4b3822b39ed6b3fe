"""`pushpull policy`: the delivery settings in force, and others for them, on every node at once."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json, show_table


@click.command()
@click.argument("changes", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--reset", multiple=True, metavar="KEY", help="Take a change back: what the node was started with.")
@json_option
@service_options
def command(target: Target, changes: tuple[str, ...], reset: tuple[str, ...], as_json: bool) -> None:
    """Show the delivery settings in force, or change some, live, on every node.

    All of the changes are checked before any is taken. They outlive a restart and come before file and environment.
    """
    wanted = {**dict(map(_change, changes)), **dict.fromkeys(reset)}
    with target.server() as server:
        entries = server.put_policy(wanted) if wanted else server.policy()
    if as_json:
        show_json(entries)
        return
    rows = ({"key": key, **entry, "without": _without(entry)} for key, entry in entries.items())
    show_table(("key", "value", "origin", "without"), rows)


def _change(text: str) -> tuple[str, Any]:
    key, found, value = text.partition("=")
    if not found or not key:
        raise click.UsageError(f"{text!r} is no change: expected KEY=VALUE, such as push_max_members=500")
    try:
        return key, msgspec.json.decode(value)
    except msgspec.DecodeError:
        return key, value  # the service says what it expects instead


def _without(entry: dict[str, Any]) -> str:
    hidden = entry.get("without")
    return "" if hidden is None else f"{hidden['value']} ({hidden['origin']})"
