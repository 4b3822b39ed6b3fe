"""A conversation row as the contract shows it to its member."""

from __future__ import annotations

from typing import Any

from pushpull.model import Mode, Row


def row_json(row: Row, mode: Mode) -> dict[str, Any]:
    """The JSON of one row of `sync`, of `conversation` and of `GET /users/{uid}/conversations`."""
    fields: dict[str, Any] = {
        "cid": row.cid,
        "epoch": row.head.epoch,
        "head": row.head.seq,
        "floor": row.head.floor,
        "start": row.start,
        "delivered": row.delivered,
        "read": row.read,
        "joined": row.joined,
        "unread": row.unread,
        "count": row.head.count,
        "mentions": row.mentions,
        "mode": mode,
        "notify": "all",
        "role": row.role,
    }
    if row.head.settings.data is not None:
        fields["data"] = row.head.settings.data
    return fields
