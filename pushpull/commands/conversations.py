"""`pushpull conversations --as UID`: a user's conversations, with what is unread."""

from __future__ import annotations

import click

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json, show_table

COLUMNS = ("cid", "head", "unread", "mentions", "delivered", "read", "mode", "role")


@click.command()
@click.option("--as", "uid", metavar="UID", required=True, help="Whose.")
@json_option
@service_options
def command(target: Target, uid: str, as_json: bool) -> None:
    """List the conversations of the user UID."""
    rows = []
    after: str | None = None
    with target.server() as server:
        while True:
            page = server.user_conversations(uid, after=after)
            rows += page["conversations"]
            after = page["next"]
            if after is None:
                break
    if as_json:
        show_json(rows)
    else:
        show_table(COLUMNS, rows)
