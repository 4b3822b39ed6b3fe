"""`pushpull why CID SEQ --user UID`: why a message did not arrive, or that it did."""

from __future__ import annotations

import click

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json
from pushpull.commands._verdict import show_verdict


@click.command()
@click.argument("cid")
@click.argument("seq", required=False, type=click.IntRange(1))
@click.option("--user", required=True, metavar="UID", help="Whom it did not arrive at.")
@click.option("--cmid", metavar="ID", help="Instead of SEQ: what the sender's app called the message.")
@click.option("--from", "sender", metavar="UID", help="With --cmid: its sender; else everybody is tried.")
@json_option
@service_options
def command(
    target: Target, cid: str, seq: int | None, user: str, cmid: str | None, sender: str | None, as_json: bool
) -> None:
    """Say why a message of the conversation CID did not arrive at a user, or that it did, and what to do.

    The message is named by its SEQ, or by --cmid.
    """
    if (seq is None) == (cmid is None):
        raise click.UsageError("name the message: by SEQ or by --cmid")
    if sender is not None and cmid is None:
        raise click.UsageError("--from is for --cmid")
    with target.server() as server:
        found = server.trace(cid, user, seq=seq, cmid=cmid, sender=sender)
    if as_json:
        show_json(found)
    else:
        show_verdict(found)
