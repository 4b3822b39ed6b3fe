"""`pushpull export CID`: a conversation as lines of JSON, to a file or to standard output."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

import click
import orjson

from pushpull.client import Server
from pushpull.commands._moving import bar, counted
from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json


@click.command()
@click.argument("cid")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Write it there; else to standard output. There is no FILE before all of it is written.",
)
@json_option
@service_options
def command(target: Target, cid: str, output: Path | None, as_json: bool) -> None:
    """Take the conversation CID out: all its messages, what was redacted, its members and how far they are.

    As it stands now; `pushpull import` makes a conversation of it again, there or elsewhere.
    """
    if output is None:
        if as_json:
            raise click.UsageError("--json says how much was written to a file: give one with -o")
        with target.server() as server:
            _write(server, cid, sys.stdout.buffer)
        return
    unfinished = output.with_name(f"{output.name}.part")
    try:
        with target.server() as server, unfinished.open("wb") as file:
            counts = _write(server, cid, file)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)
    if as_json:
        show_json({"cid": cid, "file": os.fspath(output), **counts})
    else:
        click.echo(f"{cid}: {counted(counts)}, written to {output}")


def _write(server: Server, cid: str, file: IO[bytes]) -> dict[str, int]:
    """Write the lines; how many there were of each kind."""
    line, total = b"", None
    with bar(f"exporting {cid}", "messages") as report:
        for number, line in enumerate(server.export_conversation(cid)):
            if number == 0:
                first = orjson.loads(line)
                total = first["head"] - first["floor"] + 1
            elif number % 1000 == 0:
                report(min(number, total or 0), total)
            file.write(line)
        file.flush()
    end = orjson.loads(line)
    return {name: end[name] for name in ("messages", "redacted", "members")}
