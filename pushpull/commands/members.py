"""`pushpull members CID`: who is in a conversation; add and remove, making it where it is new."""

from __future__ import annotations

from typing import Any

import click

from pushpull.client import Server
from pushpull.commands._service import Target, json_option, service_options
from pushpull.commands._show import show_json, show_table
from pushpull.errors import NoSuchConversation
from pushpull.model import Role

COLUMNS = ("user", "role", "joined", "delivered", "read")


@click.command()
@click.argument("cid")
@click.option("--add", metavar="UID,…", help="Add these users; makes the conversation if there is none.")
@click.option("--remove", metavar="UID,…", help="Remove these users.")
@click.option("--role", type=click.Choice([str(role) for role in Role]), default=str(Role.MEMBER), show_default=True)
@json_option
@service_options
def command(target: Target, cid: str, add: str | None, remove: str | None, role: str, as_json: bool) -> None:
    """Show the members of the conversation CID, or add and remove some."""
    added, removed = _uids(add), _uids(remove)
    with target.server() as server:
        if not added and not removed:
            _show(list(server.members(cid)), as_json=as_json)
            return
        counts = _change(server, cid, added, removed, role)
    if as_json:
        show_json(counts)
    else:
        changes = ", ".join(f"{counts[name]} {name}" for name in ("added", "updated", "removed") if counts[name])
        click.echo(f"{cid} has {counts['members']} members ({changes or 'nothing changed'})")


def _change(server: Server, cid: str, added: list[str], removed: list[str], role: str) -> dict[str, Any]:
    """Counts {added, updated, removed, members} of both changes together."""
    counts: dict[str, Any] = {"added": 0, "updated": 0, "removed": 0, "members": 0}
    if removed:
        counts = server.remove_members(cid, removed)
    if not added:
        return counts
    members = [(uid, role) for uid in added]
    try:
        more = server.add_members(cid, members)
    except NoSuchConversation:
        server.put_conversation(cid)
        more = server.add_members(cid, members)
    return {**more, "removed": counts["removed"]}


def _show(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show_json(rows)
    else:
        show_table(COLUMNS, rows)


def _uids(listed: str | None) -> list[str]:
    return [uid.strip() for uid in (listed or "").split(",") if uid.strip()]
