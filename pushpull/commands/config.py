"""`pushpull config`: every setting in force and where it came from."""

from __future__ import annotations

from typing import Any

import click

from pushpull.commands._local import config_option, settings_in_force
from pushpull.commands._show import show_json
from pushpull.config import flattened
from pushpull.settings import shown_value


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As one JSON object: {key: {value, origin}}.")
@config_option
def command(as_json: bool, config_file: str | None) -> None:
    """Show the settings in force and where each came from. Secrets are shown as (set)."""
    settings, origins = settings_in_force(config_file)
    rows = {name: (shown_value(name, value), origins[name]) for name, value in flattened(settings).items()}
    if as_json:
        document = {name: {"value": value, "origin": origin} for name, (value, origin) in rows.items()}
        show_json(document)
        return
    width = max(map(len, rows))
    for name, (value, origin) in rows.items():
        click.echo(f"{name:<{width}}  {_text(value):<24}  {origin}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value) if value != "" else '""'
