"""`pushpull history CID`: stored messages."""

from __future__ import annotations

import click

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import message_json, message_line, show_json


@click.command()
@click.argument("cid")
@click.option("--before", type=click.IntRange(1), metavar="SEQ", help="Only older than this.")
@click.option("--limit", type=click.IntRange(1, 500), default=50, show_default=True)
@json_option
@service_options
def command(target: Target, cid: str, before: int | None, limit: int, as_json: bool) -> None:
    """Show the newest messages of the conversation CID, oldest first."""
    with target.server() as server:
        page = server.history(cid, before=before, limit=limit)
    if as_json:
        messages = [message_json(message) for message in page.messages]
        show_json({"messages": messages, "floor": page.floor, "more": page.more})
        return
    for message in page.messages:
        click.echo(message_line(message))
    if page.more and page.messages:
        click.echo(f"(older ones: --before {page.messages[0].seq})", err=True)
