"""A trace for whoever has to answer somebody: the verdict and what to do, then what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import click
from rich.console import Console
from rich.text import Text

from pushpull.commands._show import printable, show_table

Facts = Mapping[str, Any]

SESSIONS: Final = ("device", "node", "connected", "served", "acked", "sent", "deliveries", "bytes waiting")
DEVICES: Final = ("device", "state", "connected", "closed", "code", "by", "reason")
PENDING: Final = ("device", "first", "last", "deliveries", "first sent", "last sent")


def show_verdict(trace: Facts) -> None:
    """To standard output: in colour on a terminal, as plain lines in a pipe."""
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(Text(printable(_subject(trace)), style="bold"))
    for finding in trace["verdict"]:
        console.print()
        console.print(Text(finding["code"], style="bold cyan"), Text(printable(finding["says"])), sep="  ")
        if finding["todo"]:
            console.print(Text(f"  {finding['todo']}", style="dim"))
    console.print()
    for line in (_message(trace["message"]), _conversation(trace["conversation"]), _user(trace["user"])):
        console.print(Text(printable(line)))
    _tables(trace)


def _tables(trace: Facts) -> None:
    for columns, rows in (
        (SESSIONS, [_session(each) for each in trace["sessions"]]),
        (DEVICES, [_device(each) for each in trace["devices"]]),
        (PENDING, [_pending(each) for each in trace["pending"]]),
    ):
        if rows:
            click.echo()
            show_table(columns, rows)


def _subject(trace: Facts) -> str:
    message = trace["message"]
    which = f"#{message['seq']}" if message["seq"] is not None else f"cmid {message['cmid']}"
    return f"{which} in {trace['conversation']['cid']}, for {trace['user']['user']}"


def _message(message: Facts) -> str:
    if message["state"] != "stored":
        return f"message: {message['state']}"
    marks = [name for name in ("quiet", "mentioned") if message[name]]
    sender = message["from"] or "the service"
    return ", ".join([f"message: {message['id']}, {_at(message['ts'])}, from {sender}, {message['kind']}", *marks])


def _conversation(at: Facts) -> str:
    return f"conversation: {at['floor']} to {at['head']}, {at['members']} members, {at['mode']} ({at['why']})"


def _user(user: Facts) -> str:
    if not user["member"]:
        return f"user: {user['user']}, no member"
    stands = f"joined at {user['joined']}, delivered {user['delivered']}, read {user['read']}"
    return f"user: {user['user']}, {user['role']}, {stands}"


def _session(session: Facts) -> Facts:
    place = session["place"] or {}
    served = session["known"] if session["known"] != "answered" else place.get("way", "not listed")
    return {
        "device": session["device"],
        "node": session["node"],
        "connected": _at(session["connected_at"]),
        "served": "demoted" if place.get("demoted") else served,
        "acked": place.get("acked"),
        "sent": place.get("sent"),
        "deliveries": (place.get("window") or {}).get("delivery_count"),
        "bytes waiting": session["buffered"],
    }


def _device(device: Facts) -> Facts:
    opened, closed = device["connected"], device["closed"] or {}
    return {
        "device": device["device"],
        "state": device["state"],
        "connected": _at(opened["at"]) if opened else None,
        "closed": _at(closed["at"]) if closed else None,
        "code": closed.get("code"),
        "by": closed.get("by"),
        "reason": closed.get("reason"),
    }


def _pending(row: Facts) -> Facts:
    return {
        "device": row["device"],
        "first": row["first"],
        "last": row["last"],
        "deliveries": row["delivery_count"],
        "first sent": _at(row["first_sent"]),
        "last sent": _at(row["last_sent"]),
    }


def _at(ms: int) -> str:
    """In local time."""
    return datetime.fromtimestamp(ms / 1000).astimezone().isoformat(sep=" ", timespec="seconds")
