"""The rows of a user's table of sessions: `{session: "<order> <JSON>"}`, and under ORDER_FIELD the order given last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pushpull.model import SessionId, Uid
from pushpull.store.values import SessionRecord

ORDER_FIELD: Final = b"#"


class _Kept(msgspec.Struct, frozen=True):
    device: str
    node: str
    client: str
    connected_at_ms: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Kept).decode


def kept(session: SessionRecord) -> bytes:
    """What is kept of a session beside its order."""
    return _encode(_Kept(session.device, session.node, session.client, session.connected_at_ms))


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """`[field, value, …]` as HGETALL gives it."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def in_order(uid: Uid, found: Mapping[bytes, bytes]) -> list[SessionRecord]:
    """Decode a table, oldest first."""
    rows: Sequence[tuple[int, bytes, _Kept]] = sorted(
        (
            (int(order), name, _decode(row))
            for name, value in found.items()
            if name != ORDER_FIELD
            for order, _, row in [value.partition(b" ")]
        ),
        key=lambda row: row[0],
    )
    return [
        SessionRecord(
            id=SessionId(name.decode()),
            uid=uid,
            device=row.device,
            node=row.node,
            client=row.client,
            connected_at_ms=row.connected_at_ms,
        )
        for _, name, row in rows
    ]
