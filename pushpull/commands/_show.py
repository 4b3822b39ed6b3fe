"""How results look on a terminal, in a pipe, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click
import orjson

from pushpull.client import Message


def show_json(value: Any) -> None:
    """One JSON document on standard output, indented."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def show_json_line(value: Any) -> None:
    """One JSON document on one line: for streams."""
    click.echo(orjson.dumps(value).decode())


def show_table(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Aligned columns under their names; a missing or empty value is a dash. No rows: nothing at all."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if not cells:
        return
    lines = [list(columns), *cells]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def message_json(message: Message) -> dict[str, Any]:
    """A message with the names of the wire contract, and its cid."""
    shown: dict[str, Any] = {"cid": message.cid, "id": message.id, "seq": message.seq, "ts": message.ts}
    if message.sender is not None:
        shown["from"] = message.sender
    shown |= {"cmid": message.cmid, "kind": message.kind, "body": message.body}
    if message.quiet:
        shown["quiet"] = True
    if message.mentions:
        shown["mentions"] = list(message.mentions)
    if message.ref is not None:
        shown["ref"] = message.ref
    if message.edited is not None:
        shown["edited"] = {"seq": message.edited.seq, "ts": message.edited.ts}
    return shown


def message_line(message: Message) -> str:
    """`12:03:04 #5 alice: Hello`, in local time, with whatever could steer a terminal made visible.

    Another day's begins with its date.
    """
    at = _time(datetime.fromtimestamp(message.ts / 1000).astimezone(), datetime.now().astimezone())
    kind = "" if message.kind == "message" else f" [{message.kind}{'' if message.ref is None else f' #{message.ref}'}]"
    edited = " (edited)" if message.edited is not None else ""
    return printable(f"{at} #{message.seq} {message.sender or 'service'}{kind}: {body_text(message.body)}{edited}")


def _time(at: datetime, now: datetime) -> str:
    return at.strftime("%H:%M:%S" if at.date() == now.date() else "%Y-%m-%d %H:%M:%S")


def body_text(body: Any) -> str:
    """A body for reading: its text where it is one or has one, else its JSON."""
    if isinstance(body, str):
        return body
    if isinstance(body, dict) and isinstance(body.get("text"), str):
        return str(body["text"])
    return orjson.dumps(body).decode()


def printable(text: str) -> str:
    """`text` with control characters escaped: a message must not move the cursor of who reads it."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, str):
        return printable(value)
    return orjson.dumps(value).decode()
