"""Redis Cluster's slots: which of 16,384 a key falls into: the specification's CRC16, of the hash tag if there is one.

https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

SLOTS: Final = 16_384
LANES: Final = 16
_SLOTS_A_LANE: Final = SLOTS // LANES


def slot_of(key: str | bytes) -> int:
    """The slot of a key or channel."""
    raw = key.encode() if isinstance(key, str) else key
    start = raw.find(b"{")
    if start >= 0:
        end = raw.find(b"}", start + 1)
        if end > start + 1:
            raw = raw[start + 1 : end]
    return crc_hqx(raw, 0) % SLOTS


def lane_of(tag: str) -> int:
    """The lane of what has this hash tag: of its slot, not of the server that has it, so that a slot which moves to
    another server cannot let later sends of a conversation overtake earlier ones."""
    return crc_hqx(tag.encode(), 0) % SLOTS // _SLOTS_A_LANE
