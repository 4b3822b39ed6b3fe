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

from pushpull.model import Goodbye, Uid
from pushpull.store.keys import Keys
from pushpull.store.scripts import Arg, Wire
from pushpull.store.values import SessionRecord

DEVICES_MAX: Final = 32
DEVICES_S: Final = 30 * 86_400

_OPENED: Final = "+"
_CLOSED: Final = "-"


class Connect(msgspec.Struct, frozen=True, omit_defaults=True):
    """`at`: ms since 1970, by its node's clock; so in Close."""

    session: str
    node: str
    client: str
    at: int = 0


class Close(msgspec.Struct, frozen=True, omit_defaults=True):
    session: str
    node: str
    code: int
    reason: str
    by: Literal["device", "service", "line"]
    at: int = 0


_encode = msgspec.json.Encoder().encode
_decode_connect = msgspec.json.Decoder(Connect).decode
_decode_close = msgspec.json.Decoder(Close).decode


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
    return _remembered(
        _OPENED + session.device, session.connected_at_ms, Connect(session.id, session.node, session.client)
    )


def closed(session: SessionRecord, goodbye: Goodbye, at_ms: int) -> list[Arg]:
    """What the script that takes a session off the table is told of how it ended."""
    close = Close(session.id, session.node, goodbye.code, goodbye.reason, goodbye.by)
    return _remembered(_CLOSED + session.device, at_ms, close)


def _remembered(field: str, at_ms: int, what: Connect | Close) -> list[Arg]:
    return [field, f"{at_ms} {_encode(what).decode()}", DEVICES_MAX, DEVICES_S]


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
            at, _, what = value.partition(b" ")
            if kind == _OPENED:
                connects[device] = msgspec.structs.replace(_decode_connect(what), at=int(at))
            else:
                closes[device] = msgspec.structs.replace(_decode_close(what), at=int(at))
        found = [DeviceRecord(name, connects.get(name), closes.get(name)) for name in connects | closes]
        return sorted(found, key=lambda each: (-each.moved_at, each.device))
