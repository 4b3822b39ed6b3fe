"""`pushpull pending CID`: who lacks how much."""

from __future__ import annotations

import click

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json, show_table

ROW_COLUMNS = ("user", "device", "session", "first", "last", "idle_ms", "delivery_count")


@click.command()
@click.argument("cid")
@click.option("--user", metavar="UID", help="Only this user's.")
@click.option("--min-idle-ms", type=click.IntRange(0), metavar="MS", help="Only what was sent at least so long ago.")
@click.option("--limit", type=click.IntRange(1, 1000), metavar="N", help="Session by session, at most N rows.")
@json_option
@service_options
def command(
    target: Target, cid: str, user: str | None, min_idle_ms: int | None, limit: int | None, as_json: bool
) -> None:
    """Show what members of the conversation CID have not acked: a summary, or the rows with --limit."""
    with target.server() as server:
        found = server.pending(cid, user=user, min_idle_ms=min_idle_ms, limit=limit)
    if as_json:
        show_json(found)
    elif limit is not None:
        show_table(ROW_COLUMNS, found.get("rows") or [])
    elif not found["count"]:
        click.echo("nothing is pending")
    else:
        click.echo(f"{found['count']} pending, from #{found['min']} to #{found['max']}")
        consumers = found.get("consumers") or []
        show_table(tuple(consumers[0]) if consumers else (), consumers)
