"""A conversation row as the contract shows it to its member."""

from __future__ import annotations

from typing import Any

import orjson

from pushpull.model import LogId, Mode, Row


def row_json(row: Row, mode: Mode) -> dict[str, Any]:
    """The JSON of one row, of `conversation` and of `GET /users/{uid}/conversations`."""
    fields: dict[str, Any] = orjson.loads(_text(row, mode, row.start))
    return fields


def row_fragment(row: Row, mode: Mode, start: LogId) -> orjson.Fragment:
    """One row of `sync`, where the device begins at `start`; JSON already.

    Put together by hand, which costs half of what a dict and its encoding do: when all devices come back, this is
    done for each of them and each of its conversations.
    """
    return orjson.Fragment(_text(row, mode, start))


def _text(row: Row, mode: Mode, start: LogId) -> str:
    # Names, ids, epochs and roles are of characters that stand for themselves in JSON; `data` is anything.
    head = row.head
    data = "" if head.settings.data is None else f',"data":{orjson.dumps(head.settings.data).decode()}'
    prefs = row.prefs
    mute = "" if prefs.mute_until is None else f',"mute_until":{prefs.mute_until}'
    return (
        f'{{"cid":"{row.cid}","epoch":"{head.epoch}","head":{head.seq},"floor":{head.floor},"start":"{start}",'
        f'"delivered":{row.delivered},"read":{row.read},"joined":{row.joined},"unread":{row.unread},'
        f'"count":{head.count},"mentions":{row.mentions},"mode":"{mode}","notify":"{prefs.notify}",'
        f'"role":"{row.role}"{mute}{data}}}'
    )
