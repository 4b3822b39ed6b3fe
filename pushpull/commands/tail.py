"""`pushpull tail CID`: a conversation as it happens, over a WebSocket, as one of its members."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

import click

from pushpull.client import Chat, ConnectionEnded, Message, connect
from pushpull.commands._service import Target, json_option, lost, service_options
from pushpull.commands._show import message_json, message_line, show_json_line
from pushpull.errors import NotAMember

MAX_BACKLOG: Final = 1000
"""A user's other conversations come along on the connection; those far behind are left where they are."""


@click.command()
@click.argument("cid")
@click.option("--as", "uid", metavar="UID", help="Follow as this member, with a token made on this machine.")
@click.option("--token", envvar="PUSHPULL_TOKEN", metavar="JWT", help="Follow with this token. Or PUSHPULL_TOKEN.")
@click.option("--lines", type=click.IntRange(0, 500), default=10, show_default=True, help="Older messages first.")
@json_option
@service_options
def command(target: Target, cid: str, uid: str | None, token: str | None, lines: int, as_json: bool) -> None:
    """Follow the conversation CID, live, until Ctrl-C.

    This counts as a device of that user: what is shown is delivered.
    """
    if (uid is None) == (token is None):
        raise click.UsageError("expected one of --as UID and --token JWT")
    renew: str | Callable[[], str] = token or ""
    if uid is not None:
        follower = uid
        renew = lambda: target.token_for(follower)  # noqa: E731
    show = _show_json if as_json else _show_line
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(
                _follow(connect(target.urls, token=renew, max_backlog=MAX_BACKLOG, auto_ack=False), cid, lines, show)
            )
    except ConnectionEnded as error:
        raise lost(error, target.url) from error


async def _follow(entering: Chat, cid: str, lines: int, show: Callable[[Message], None]) -> None:
    shown = 0
    async with entering as chat:
        try:
            page = await chat.history(cid, limit=max(1, lines))
        except NotAMember as error:
            hint = f"add them with: pushpull members {cid} --add {chat.user}"
            raise NotAMember(f"{chat.user} is not a member of {cid}; {hint}") from error
        for message in page.messages if lines else ():
            show(message)
            shown = message.seq
        async for message in chat.messages():
            if message.cid != cid:
                continue  # not shown, so not acked
            if message.seq > shown:
                show(message)
                shown = message.seq
            await chat.ack(message)


def _show_line(message: Message) -> None:
    click.echo(message_line(message))


def _show_json(message: Message) -> None:
    show_json_line(message_json(message))
