"""The command line. Each public module of `pushpull.commands` is a command of its name, loaded when it is used."""

from __future__ import annotations

import importlib
import pkgutil
from typing import IO, Any

import click

import pushpull
from pushpull import commands
from pushpull.errors import PushpullError, lowered


class _Failed(click.ClickException):
    """One line on stderr and exit status 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"error: {self.message}", file=file, err=file is None)


class _Commands(click.Group):
    """Commands found in `pushpull.commands`: module `tail` holds, as `command`, what `pushpull tail` does."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(name for _, name, _ in pkgutil.iter_modules(commands.__path__) if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"pushpull.commands.{cmd_name}").command
        command.name = cmd_name
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except PushpullError as problem:
            raise _Failed(problem.message) from None
        except BrokenPipeError:
            raise  # click ends quietly when whoever reads a pipe has had enough
        except OSError as problem:
            raise _Failed(lowered(problem)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(pushpull.__version__, prog_name="pushpull")
def main() -> None:
    """Delivery service for chat on Redis Streams: push with acks for small groups, notify and pull for large ones."""
