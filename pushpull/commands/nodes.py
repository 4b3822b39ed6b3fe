"""`pushpull nodes`: the processes that serve."""

from __future__ import annotations

import click

from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json, show_table


@click.command()
@json_option
@service_options
def command(target: Target, as_json: bool) -> None:
    """List the nodes of the service with their sessions, feeds and lag."""
    with target.server() as server:
        nodes = server.nodes()
    if as_json:
        show_json(nodes)
    else:
        show_table(tuple(dict.fromkeys(key for node in nodes for key in node)), nodes)
