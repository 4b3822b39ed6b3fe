"""`pushpull send CID TEXT`: one message."""

from __future__ import annotations

import sys
from typing import Any

import click
import orjson

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json
from pushpull.errors import NoSuchConversation
from pushpull.model import seq_of


@click.command()
@click.argument("cid")
@click.argument("text")
@click.option("--as", "uid", metavar="UID", help="Who says it; without, the service itself.")
@click.option("--cmid", help="The message's own id: sent twice, it is stored once.")
@click.option("--body-json", is_flag=True, help="TEXT is the body's JSON and not a text.")
@json_option
@service_options
def command(
    target: Target, cid: str, text: str, uid: str | None, cmid: str | None, body_json: bool, as_json: bool
) -> None:
    """Send TEXT to the conversation CID; `-` reads it from standard input."""
    if text == "-":
        text = sys.stdin.read()
    with target.server() as server:
        try:
            sent = server.send(cid, _parsed(text) if body_json else text, sender=uid, cmid=cmid)
        except NoSuchConversation as error:
            hint = f"make one with: pushpull members {cid} --add {uid or 'UID'},…"
            raise NoSuchConversation(f"{error.message}; {hint}") from error
    if as_json:
        show_json({"cid": sent.cid, "cmid": sent.cmid, "id": sent.id, "dup": sent.dup})
    else:
        click.echo(f"stored as #{seq_of(sent.id)} in {sent.cid}" + (" (it was there before)" if sent.dup else ""))


def _parsed(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise click.UsageError(f"TEXT is not JSON, as --body-json expects: {error}") from None
