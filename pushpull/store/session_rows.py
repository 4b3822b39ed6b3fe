"""The rows of a user's table of sessions: `<id>: <order> <what is kept>`, the order being that of their entering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from pushpull.model import SessionId, Uid
from pushpull.store.values import SessionRecord, Standing

ORDER_FIELD: Final = b"#"
"""Not a session: the last order given."""


class _Kept(msgspec.Struct, frozen=True):
    device: str
    node: str
    client: str
    connected_at_ms: int


_encode = msgspec.json.Encoder().encode
_decode_kept = msgspec.json.Decoder(_Kept).decode


def encode(session: SessionRecord) -> bytes:
    """What is kept of a session; the script that enters it puts its order and a space before."""
    return _encode(_Kept(session.device, session.node, session.client, session.connected_at_ms))


def in_order(uid: Uid, flat: Sequence[bytes]) -> list[SessionRecord]:
    """The sessions of a table as Redis sends it (field, value, field, value), oldest first."""
    rows: Sequence[tuple[int, bytes, _Kept]] = sorted(
        (
            (int(order), name, _decode_kept(kept))
            for name, value in zip(flat[::2], flat[1::2], strict=True)
            if name != ORDER_FIELD
            for order, _, kept in [value.partition(b" ")]
        ),
        key=lambda row: row[0],
    )
    return [
        SessionRecord(
            id=SessionId(name.decode()),
            uid=uid,
            device=kept.device,
            node=kept.node,
            client=kept.client,
            connected_at_ms=kept.connected_at_ms,
        )
        for _, name, kept in rows
    ]


def standing(
    session: SessionRecord, revoked: bytes | None, ended: Sequence[float | None], table: Sequence[SessionRecord]
) -> Standing:
    """How a session stands: its table, and what was kept of kicks, replacements and revocations."""
    kicked, replaced = (each is not None for each in ended)
    return Standing(
        revoked_before=None if revoked is None else int(revoked),
        kicked=kicked,
        replaced=replaced,
        listed=any(row.id == session.id for row in table),
        elsewhere=frozenset(row.node for row in table) - {session.node},
    )
