"""The command line's page: every command with its arguments and options, as click knows them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final

import click

from pushpull.cli import main
from scripts.documenting.prose import escaped, table

_HEAD: Final = """\
# Command line

Made from the commands themselves; `pushpull COMMAND --help` says the same. Exit status: 0 done, 1 it failed, 2 wrong
usage. What reads has `--json`; what talks to a service takes `--url` and `--api-key`, or `PUSHPULL_URL` and
`PUSHPULL_API_KEY`. Long work shows its progress on a terminal and is silent in a pipe.
"""


def commands_page() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_described(context) for context in contexts())


def contexts(group: click.Group = main, parent: click.Context | None = None) -> Iterator[click.Context]:
    """One context for each command, those inside groups too, in the order of `--help`."""
    above = parent or click.Context(group, info_name="pushpull")
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=above)
        yield context
        if isinstance(command, click.Group):
            yield from contexts(command, context)


def _described(context: click.Context) -> str:
    command = context.command
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    records = [param.get_help_record(context) for param in command.get_params(context)]
    rows = [(f"`{names}`", escaped(about)) for names, about in filter(None, records)]
    title = context.command_path.removeprefix("pushpull ")
    return f"\n## {title}\n\n```text\n{usage}\n```\n\n{_help(command.help or '')}\n\n{table(('option', ''), rows)}"


def _help(text: str) -> str:
    """Paragraphs as Markdown; those that click is told to leave as they are, as they are."""
    paragraphs = inspect.cleandoc(text).partition("\f")[0].split("\n\n")
    return "\n\n".join(_paragraph(one) for one in paragraphs)


def _paragraph(text: str) -> str:
    if not text.startswith("\b"):
        return escaped(text)
    return "```text\n" + text.removeprefix("\b").strip("\n") + "\n```"
