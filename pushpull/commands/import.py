"""`pushpull import [FILE]`: a conversation of the lines of an export. (By its name, no code can import this module.)"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import click
import orjson

from pushpull.client.moving import CHUNK_BYTES, Source
from pushpull.commands._moving import Report, bar, counted
from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json
from pushpull.errors import NoSuchConversation

FIRST_LINE_BYTES = 64 * 1024


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path), default="-")
@click.option("--as", "cid", metavar="CID", help="Make it under this name; else under the one it had.")
@click.option("--restart", is_flag=True, help="First forget what an import that was interrupted has stored.")
@json_option
@service_options
def command(target: Target, file: Path, cid: str | None, restart: bool, as_json: bool) -> None:
    """Make a conversation of the lines in FILE, or of those that come on standard input (-).

    Messages keep their ids and times, members their cursors; nobody is notified. The conversation must not exist, and
    is not seen before all of it is there. If it was interrupted, the same command goes on with it.
    """
    with contextlib.ExitStack() as closing:
        stream = sys.stdin.buffer if file == Path("-") else closing.enter_context(file.open("rb"))
        first = stream.readline(FIRST_LINE_BYTES)
        name = cid or _cid_in(first)
        server = closing.enter_context(target.server())
        if restart:
            with contextlib.suppress(NoSuchConversation):
                server.give_up_import(name)
        report = closing.enter_context(bar(f"importing {name}", "bytes"))
        source: Source = _rest(first, stream, report) if file == Path("-") else lambda: _all(file, report)
        done = server.import_conversation(name, source)
    if as_json:
        show_json(done)
    else:
        known = "" if done["made"] else " (was there already)"
        click.echo(f"{name}: {counted(done)}, head {done['head']}{known}")


def _cid_in(first: bytes) -> str:
    """The name of the conversation in the first line of a file."""
    try:
        found = orjson.loads(first)["cid"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        found = None
    if not isinstance(found, str) or not found:
        raise click.UsageError("the first line names no conversation: say under which name to make it, with --as CID")
    return found


def _all(path: Path, report: Report) -> Iterator[bytes]:
    """The bytes of a file, as they are sent; from the beginning, each time it is called."""
    with path.open("rb") as file:
        yield from _reported(_chunks(file), path.stat().st_size, report)


def _rest(first: bytes, stream: IO[bytes], report: Report) -> Iterator[bytes]:
    """What was read of standard input, and what is still to come."""

    def chunks() -> Iterator[bytes]:
        yield first
        yield from _chunks(stream)

    return _reported(chunks(), None, report)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _reported(chunks: Iterable[bytes], total: int | None, report: Report) -> Iterator[bytes]:
    done = 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        report(done, total)
