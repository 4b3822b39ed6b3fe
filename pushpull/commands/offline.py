"""`pushpull offline`: how the notifications of absent users do, and another chance for those that were given up."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json, show_table

COLUMNS = ("id", "cid", "tries", "at", "why")


@click.command()
@click.option("--limit", type=click.IntRange(0, 1000), metavar="N", help="At most N dead letters, the newest.")
@click.option("--requeue", is_flag=True, help="Give all dead letters another chance; with IDs only those.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
@json_option
@service_options
def command(target: Target, limit: int | None, requeue: bool, ids: tuple[str, ...], as_json: bool) -> None:
    """Show how many conversations are due for notification, are being worked on, and were given up, and why."""
    if ids and not requeue:
        raise click.UsageError("IDs are for --requeue")
    with target.server() as server:
        if requeue:
            requeued = server.requeue_offline(ids or None)
            if as_json:
                show_json({"requeued": requeued})
            else:
                click.echo(f"{requeued} requeued")
            return
        found = server.offline(limit=limit)
    if as_json:
        show_json(found)
        return
    if not found["enabled"]:
        click.echo("nobody is notified: offline.webhook_url is not set")
    click.echo("{due} due later, {waiting} waiting, {pending} being worked on, {dead} given up".format_map(found))
    show_table(COLUMNS, map(_shown, found["letters"]))


def _shown(letter: dict[str, Any]) -> dict[str, Any]:
    at = datetime.fromtimestamp(letter["at"] / 1000).astimezone()
    return {**letter, "at": at.isoformat(sep=" ", timespec="seconds")}
