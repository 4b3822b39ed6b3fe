"""A user's devices, as they are remembered: when each connected last and when and why it was closed last.

Written in the scripts that enter a session on its user's table and take it off (store.presence), so it costs no call of
its own. A node that dies writes no close: then the connect is of a session that no close is known of.

Bounded: the DEVICES_MAX devices of a user that moved last, for DEVICES_S after the last of them moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from pushpull.model import LINE_LOST, Goodbye, Uid
from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg, Wire
from pushpull.store.values import SessionRecord

DEVICES_MAX: Final = 32
DEVICES_S: Final = 30 * 86_400
SESSION_CHARS: Final = 12
"""Of a session's id: enough to tell two of one device apart, and short enough for most rows to fit into 64 bytes, where
Redis keeps a small hash in half the memory."""

_OPENED: Final = "+"
_CLOSED: Final = "-"
_BY: Final[dict[str, Literal["device", "service", "line"]]] = {"d": "device", "s": "service", "l": "line"}


class Connect(msgspec.Struct, frozen=True):
    """`at`: ms since 1970, by its node's clock; so in Close. `session`: the beginning of its id."""

    at: int
    session: str
    node: str
    client: str


class Close(msgspec.Struct, frozen=True):
    at: int
    session: str
    node: str
    code: int
    by: Literal["device", "service", "line"]
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceRecord:
    """`closed` may be of an earlier session than `opened` is: while that one is open, or where its end was not seen."""

    device: str
    opened: Connect | None
    closed: Close | None

    @property
    def moved_at(self) -> int:
        return max(self.opened.at if self.opened else 0, self.closed.at if self.closed else 0)


def opened(session: SessionRecord) -> list[Arg]:
    """What the script that enters a session is told of its device."""
    row = f"{session.connected_at_ms} {session.id[:SESSION_CHARS]} {session.node} {session.client}"
    return [_OPENED + session.device, row, DEVICES_MAX, DEVICES_S]


def closed(session: SessionRecord, goodbye: Goodbye, at_ms: int) -> list[Arg]:
    """What the script that takes a session off the table is told of how it ended."""
    reason = "" if goodbye == LINE_LOST else goodbye.reason  # the most frequent one goes without saying
    row = f"{at_ms} {session.id[:SESSION_CHARS]} {session.node} {goodbye.code} {goodbye.by[0]} {reason}"
    return [_CLOSED + session.device, row, DEVICES_MAX, DEVICES_S]


def _connect(row: str) -> Connect:
    at, session, node, client = row.split(" ", 3)
    return Connect(int(at), session, node, client)


def _close(row: str) -> Close:
    at, session, node, code, by, reason = row.split(" ", 5)
    said = LINE_LOST.reason if by == "l" and not reason else reason
    return Close(int(at), session, node, int(code), _BY[by], said)


class Devices:
    """Of all users. Raises StoreUnavailable."""

    def __init__(self, wire: Wire, keys: Keys) -> None:
        self._wire = wire
        self._keys = keys

    async def of(self, uid: Uid) -> list[DeviceRecord]:
        """The user's devices, the one that moved last first. Empty: none was connected for so long, or ever."""
        flat: Sequence[bytes] = await self._wire.command("HGETALL", self._keys.devices(uid), again=True)
        connects: dict[str, Connect] = {}
        closes: dict[str, Close] = {}
        for field, value in zip(flat[::2], flat[1::2], strict=True):
            kind, device = field.decode()[:1], field.decode()[1:]
            if kind == _OPENED:
                connects[device] = _connect(value.decode())
            else:
                closes[device] = _close(value.decode())
        found = [DeviceRecord(name, connects.get(name), closes.get(name)) for name in connects | closes]
        return sorted(found, key=lambda each: (-each.moved_at, each.device))
