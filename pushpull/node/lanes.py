"""Lanes: where Redis is a cluster, what must not wait for a shard that is away.

A conversation is in one lane for good (`Store.lane`). Whatever makes one batch of many conversations makes one for each
lane, side by side. Where Redis is one server there is one lane.
"""

from __future__ import annotations

from collections.abc import Callable

from pushpull.model import Cid

Lane = Callable[[Cid], int]


def one_lane(cid: Cid) -> int:
    """All conversations in the same lane."""
    return 0
